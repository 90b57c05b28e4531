/** `POST /notices` of an agent. Nothing depends on them, so they may be lost, with one exception: a restart. */
import { toError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import type { Notices } from "../../wire/messages/notices.ts";
import { AGENT_PATHS, CAPABILITY } from "../../wire/protocol.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import { LAST_REQUESTS_MS, MAX_PENDING_NOTICES } from "../limits.ts";
import type { AgentBudget } from "./agent-budgets.ts";
import { postAgentJson } from "./agent-client.ts";

export function sendNotices(connection: AgentConnection, notices: Partial<Notices>, log: Logger): void {
  if (!connection.usable || !connection.hello.capabilities.includes(CAPABILITY.notices)) return;
  if (connection.pendingNotices >= MAX_PENDING_NOTICES) return;
  connection.pendingNotices += 1;
  postAgentJson(connection.http2Session, AGENT_PATHS.notices, notices)
    .catch((error: unknown) => {
      log.debug({ connection: connection.id, reason: toError(error).message }, "notice not delivered");
    })
    .finally(() => (connection.pendingNotices -= 1));
}

/** About a target's failure. Few of them: none may take the place of other notices. */
export function sendFailureNotice(
  connection: AgentConnection,
  notices: Pick<Partial<Notices>, "faulty" | "silent">,
  log: Logger,
): void {
  if (connection.failureNotices.take()) sendNotices(connection, notices, log);
}

/**
 * Another process of this control plane listens at the same address. The agent connects there at once, while it serves this
 * connection until that ends. An agent that does not know this notice gets GOAWAY; one that connects there only when this
 * connection has closed gets it when this process's callers have been sent away.
 */
export function announceRestart(connection: AgentConnection, reconnectSpreadMs: number, log: Logger): void {
  const goaway = (): void =>
    connection.drain("draining", "the control plane is restarting", undefined, reconnectSpreadMs);
  if (!connection.usable) return;
  if (connection.tunnel.isAgentsOnly) return void setTimeout(goaway, LAST_REQUESTS_MS).unref();
  if (!connection.hello.capabilities.includes(CAPABILITY.restart)) return goaway();
  postAgentJson(connection.http2Session, AGENT_PATHS.notices, { restarting: true, reconnectSpreadMs }).catch(
    (error: unknown) => {
      log.debug({ connection: connection.id, reason: toError(error).message }, "notice not delivered");
      goaway();
    },
  );
}

/** A newer agent serves one of the connection's runners; it keeps the others. */
export function notifyReplaced(
  connection: AgentConnection,
  runnerId: string,
  budget: AgentBudget,
  log: Logger,
): void {
  budget.log.info({ connection: connection.id, runner: runnerId }, "runner replaced by a newer agent");
  sendNotices(connection, { replaced: [runnerId] }, log);
}
