/** Runners that an agent offers and may not serve: its connection goes on without them, and both sides say why. */
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";
import { MAX_RUNNERS_PER_CONNECTION } from "../../wire/limits.ts";
import type { Logger } from "../../wire/log.ts";
import type { Notices } from "../../wire/messages/notices.ts";
import { AGENT_PATHS, CAPABILITY } from "../../wire/protocol.ts";
import { postAgentJson } from "./agent-client.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import { MAX_NOTICES_UNDER_WAY } from "../limits.ts";
import type { RefusedRunner, Registry } from "../registry/registry.ts";

export interface RefusalContext {
  registry: Registry;
  log: Logger;
}

/** As {@link Registry.addRunner}, but a refusal is reported, not thrown. */
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
  { log }: RefusalContext,
): void {
  if (refused.length === 0) return;
  for (const { info, error } of refused) {
    if (connection.refused.size < MAX_RUNNERS_PER_CONNECTION) connection.refused.set(info.id, info);
    const { id } = connection;
    log.warn({ connection: id, runner: info.id, reason: error.message }, "runner refused");
  }
  const notices = refused.map(({ info, error }) => ({
    runner: info.id,
    code: error instanceof TurnaboutError ? error.code : "internal",
  }));
  notify(connection, { refused: notices }, log);
}

/** A newer agent serves one of its runners, and it goes on with the others. */
export function tellReplaced(connection: AgentConnection, runnerId: string, log: Logger): void {
  log.info({ connection: connection.id, runner: runnerId }, "a newer agent serves one of its runners");
  notify(connection, { replaced: [runnerId] }, log);
}

/** Tells an agent something on which nothing depends. */
export function notify(connection: AgentConnection, notices: Partial<Notices>, log: Logger): void {
  if (!connection.usable || !connection.hello.capabilities.includes(CAPABILITY.notices)) return;
  if (connection.pendingNotices >= MAX_NOTICES_UNDER_WAY) return; // nothing depends on one
  connection.pendingNotices += 1;
  postAgentJson(connection.session, AGENT_PATHS.notices, notices)
    .catch((error: unknown) => {
      log.debug({ connection: connection.id, reason: toError(error).message }, "notice not delivered");
    })
    .finally(() => (connection.pendingNotices -= 1));
}

/** The credential covers more now than it did, or something else has changed. */
export function offerAgain(connection: AgentConnection, context: RefusalContext): void {
  for (const info of connection.refused.values()) {
    if (connection.identity.mayRegister(info.id)) offerRunner(connection, info, context);
  }
}
