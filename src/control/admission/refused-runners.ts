/** Runners that an agent offers and may not serve: it keeps its connection without them, and both ends log the reason. */
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import { MAX_RUNNERS_PER_CONNECTION } from "../../wire/limits.ts";
import type { Logger } from "../../wire/log.ts";
import type { AgentBudget } from "./agent-budgets.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import { sendNotices } from "./agent-notices.ts";
import type { RefusedRunner, Registry } from "../registry/registry.ts";

export interface RefusalContext {
  registry: Registry;
  log: Logger;
  /** Of the agent's credential. */
  budget: AgentBudget;
}

/** Calls {@link Registry.addRunner}; a refusal is reported and not thrown. */
export function offerRunner(connection: AgentConnection, info: RunnerInfo, context: RefusalContext): void {
  try {
    context.registry.addRunner(connection, info);
    connection.refused.delete(info.id);
  } catch (error) {
    reportRefused(connection, [{ info, error: toError(error) }], context);
  }
}

export function reportRefused(
  connection: AgentConnection,
  refused: readonly RefusedRunner[],
  { budget, log }: RefusalContext,
): void {
  if (refused.length === 0) return;
  for (const { info, error } of refused) {
    if (connection.refused.size < MAX_RUNNERS_PER_CONNECTION) connection.refused.set(info.id, info);
    const { id } = connection;
    budget.log.warn({ connection: id, runner: info.id, reason: error.message }, "runner refused");
  }
  const notices = refused.map(({ info, error }) => ({
    runner: info.id,
    code: error instanceof TurnaboutError ? error.code : "internal",
  }));
  sendNotices(connection, { refused: notices }, log);
}

/** Offers the refused runners again that the credential covers now. */
export function offerAgain(connection: AgentConnection, context: RefusalContext): void {
  for (const info of connection.refused.values()) {
    if (connection.identity.mayRegister(info.id)) offerRunner(connection, info, context);
  }
}
