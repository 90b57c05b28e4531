/**
 * Follows `GET /events` of an agent: runners that are added and removed, and the health of targets. If the stream ends before
 * the connection (the agent ends it when we read too slowly), `/hello` is requested again, and the changes are applied.
 */
import { setTimeout as pause } from "node:timers/promises";
import { parseAgentEvent } from "../../wire/messages/agent-events.ts";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { toError } from "../../wire/errors.ts";
import { parseHello } from "../../wire/messages/hello.ts";
import type { Hello } from "../../wire/messages/hello.ts";
import { MAX_EVENT_LINE_BYTES } from "../../wire/limits.ts";
import type { Logger } from "../../wire/log.ts";
import { AGENT_AUTHORITY, AGENT_PATHS } from "../../wire/protocol.ts";
import { getAgentJson } from "./agent-client.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import { LineSplitter } from "../../wire/streams/line-splitter.ts";
import { EVENTS_RETRY_MS } from "../limits.ts";
import { offerRunner } from "./refused-runners.ts";
import type { Registry } from "../registry/registry.ts";

export interface FollowContext {
  registry: Registry;
  log: Logger;
}

/** Resolves when the connection takes no more new streams. Never rejects. */
export async function followEvents(connection: AgentConnection, context: FollowContext): Promise<void> {
  while (connection.usable) {
    try {
      await readEvents(connection, context);
      await pause(EVENTS_RETRY_MS, undefined, { ref: false });
      if (!connection.usable) return;
      catchUp(
        connection,
        parseHello(await getAgentJson(connection.http2Session, AGENT_PATHS.hello)),
        context,
      );
    } catch (error) {
      if (!connection.usable) return;
      context.log.warn(
        { connection: connection.id, reason: toError(error).message },
        "agent events interrupted",
      );
      await pause(EVENTS_RETRY_MS, undefined, { ref: false });
    }
  }
}

/** Resolves when the stream ends. A line that is not valid is logged and skipped. */
async function readEvents(connection: AgentConnection, context: FollowContext): Promise<void> {
  const { registry, log } = context;
  const stream = connection.http2Session.request({
    ":method": "GET",
    ":path": AGENT_PATHS.events,
    ":scheme": "http",
    ":authority": AGENT_AUTHORITY,
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.on("error", () => {}); // permanently
  // Otherwise this stream would keep the connection open: a plain HTTP/2 server does not tell its agent of our GOAWAY.
  const stop = (): void => resetStream(stream, new Error("the connection is draining"));
  connection.draining.addEventListener("abort", stop, { once: true });
  stream.once("close", () => {
    connection.draining.removeEventListener("abort", stop);
    resolve();
  });
  const refused = (reason: string): void =>
    log.warn({ connection: connection.id, reason }, "agent event refused");
  const lines = new LineSplitter(MAX_EVENT_LINE_BYTES, {
    line: (text) => {
      try {
        apply(text);
      } catch (error) {
        refused(toError(error).message);
      }
    },
    tooLong: () => refused(`events: a line of more than ${MAX_EVENT_LINE_BYTES} bytes`),
  });
  stream.on("data", (chunk: Buffer) => lines.push(chunk));
  function apply(line: string): void {
    const event = line === "" ? undefined : parseAgentEvent(line);
    if (event === undefined || !connection.usable) return;
    if (event.type === "runner-added") offerRunner(connection, event.runner, context);
    else if (event.type === "runner-removed") registry.removeRunner(connection, event.id);
    else registry.setTargetHealth(connection, event.runner, event.target, event.healthy);
  }
  await promise;
}

function catchUp(connection: AgentConnection, hello: Hello, context: FollowContext): void {
  const present = new Set(hello.runners.map(({ id }) => id));
  for (const id of [...connection.runners.keys(), ...connection.refused.keys()]) {
    if (!present.has(id)) context.registry.removeRunner(connection, id);
  }
  for (const runner of hello.runners) {
    const known = connection.runners.get(runner.id) ?? connection.refused.get(runner.id);
    if (JSON.stringify(known) !== JSON.stringify(runner)) offerRunner(connection, runner, context);
  }
}
