/**
 * The agent's own routes on the tunnel connection, for the control plane: `/hello`, `/events`, `/ping`, `/metrics`, `/diagnosis`,
 * `/notices` and, on rh2, `/credential`.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { AgentEvent } from "../../wire/messages/agent-events.ts";
import { closeAfterResponse, resetStream } from "../../wire/streams/end-stream.ts";
import type { Hello } from "../../wire/messages/hello.ts";
import type { Logger } from "../../wire/log.ts";
import { parseNotices } from "../../wire/messages/notices.ts";
import type { Notices } from "../../wire/messages/notices.ts";
import { AGENT_PATHS, HEADER } from "../../wire/protocol.ts";
import { parseReconnectSpread } from "../../wire/session/goaway.ts";
import { readBody } from "../../wire/streams/read-body.ts";
import type { TokenBucket } from "../../wire/token-bucket.ts";
import { VERSION } from "../../wire/version.ts";
import { MAX_NOTICES_BYTES, MAX_PENDING_EVENTS } from "../limits.ts";
import type { AgentMetrics } from "../metrics.ts";
import { refuse } from "./reach-target.ts";

export interface ControlRoutesContext {
  hello(): Hello;
  metrics: AgentMetrics;
  log: Logger;
  /** What has changed since the response to `/hello` on this connection. */
  changes(): AgentEvent[];
  /** Registers a listener; the returned function removes it. */
  subscribe(listener: (event: AgentEvent) => void): () => void;
  /** The bearer token, on carriers where the control plane may request it; undefined on others. */
  credential: (() => Promise<string | undefined>) | undefined;
  /** The control plane reports runners that it refuses or has replaced. */
  onNotices(notices: Notices): void;
  /** What the agent says of itself, without secrets and addresses. */
  diagnose(): Promise<object>;
  /** Each request for that takes one. */
  notices: TokenBucket;
  /** Aborted when the agent shuts down. */
  closing: AbortSignal;
  /** `/hello` was requested: the control plane has accepted the connection so far. */
  onHello(): void;
  /** The control plane asks its agents to spread their reconnects over this time. */
  onReconnectSpread(spreadMs: number): void;
}

export function serveControlRoute(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  context: ControlRoutesContext,
): void | Promise<void> {
  const path = headers[":path"] ?? "";
  const method = METHODS[path];
  if (path !== AGENT_PATHS.notices) stream.resume(); // no other route takes a body
  if (method === undefined) return refuse(stream, "not_found");
  if (headers[":method"] !== method) return refuse(stream, "method_not_allowed", { allow: method });
  switch (path) {
    case AGENT_PATHS.hello:
      sendJson(stream, context.hello());
      takeSpread(headers[HEADER.reconnectSpread], context);
      return context.onHello();
    case AGENT_PATHS.ping:
      return sendJson(stream, { now: Date.now() });
    case AGENT_PATHS.events:
      return serveEvents(stream, context);
    case AGENT_PATHS.metrics:
      return serveMetrics(stream, context);
    case AGENT_PATHS.diagnosis:
      return serveDiagnosis(stream, context);
    case AGENT_PATHS.credential:
      return serveCredential(stream, context);
    default:
      return takeNotices(stream, context);
  }
}

/** The method of each route. A path with a query is another path. */
const METHODS: Readonly<Partial<Record<string, "GET" | "POST">>> = {
  [AGENT_PATHS.hello]: "GET",
  [AGENT_PATHS.ping]: "GET",
  [AGENT_PATHS.events]: "GET",
  [AGENT_PATHS.metrics]: "GET",
  [AGENT_PATHS.diagnosis]: "GET",
  [AGENT_PATHS.credential]: "GET",
  [AGENT_PATHS.notices]: "POST",
};

function takeSpread(value: string | string[] | undefined, context: ControlRoutesContext): void {
  const spreadMs = parseReconnectSpread(
    typeof value === "string" && /^\d{1,5}$/.test(value) ? Number(value) : undefined,
  );
  if (spreadMs !== undefined) context.onReconnectSpread(spreadMs);
}

async function takeNotices(stream: ServerHttp2Stream, context: ControlRoutesContext): Promise<void> {
  if (!context.notices.take()) return refuse(stream, "rate_limited");
  try {
    const body = await readBody(stream, MAX_NOTICES_BYTES, "notices");
    context.onNotices(parseNotices(body.toString("utf8")));
    if (!stream.destroyed) stream.respond({ ":status": 204 }, { endStream: true });
  } catch {
    if (!stream.destroyed) refuse(stream, "bad_request");
  }
}

function sendJson(stream: ServerHttp2Stream, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  stream.respond({
    ":status": 200,
    "content-type": "application/json",
    "content-length": body.length,
    "cache-control": "no-store",
    [HEADER.version]: VERSION,
  });
  stream.end(body);
  closeAfterResponse(stream);
}

function serveEvents(stream: ServerHttp2Stream, context: ControlRoutesContext): void {
  stream.respond({ ":status": 200, "content-type": "application/x-ndjson", "cache-control": "no-store" });
  let pending = 0;
  const send = (event: AgentEvent): void => {
    if (pending >= MAX_PENDING_EVENTS) {
      return resetStream(stream, new Error("the reader of /events is too slow"));
    }
    pending += 1;
    stream.write(Buffer.from(`${JSON.stringify(event)}\n`), () => (pending -= 1));
  };
  for (const event of context.changes()) send(event);
  const unsubscribe = context.subscribe(send);
  // Without this the stream would never end, and a drain waits for the last stream.
  const end = () => stream.end();
  const { session } = stream;
  session?.once("goaway", end);
  context.closing.addEventListener("abort", end, { once: true });
  stream.once("close", () => {
    unsubscribe();
    session?.off("goaway", end);
    context.closing.removeEventListener("abort", end);
  });
}

async function serveMetrics(stream: ServerHttp2Stream, context: ControlRoutesContext): Promise<void> {
  try {
    const body = Buffer.from(await context.metrics.registry.metrics());
    if (stream.destroyed) return;
    stream.respond({ ":status": 200, "content-type": context.metrics.registry.contentType });
    stream.end(body);
  } catch (error) {
    context.log.error({ err: error }, "/metrics failed");
    refuse(stream, "internal");
  }
}

async function serveDiagnosis(stream: ServerHttp2Stream, context: ControlRoutesContext): Promise<void> {
  try {
    const diagnosis = await context.diagnose();
    if (!stream.destroyed) sendJson(stream, diagnosis);
  } catch (error) {
    context.log.error({ err: error }, "/diagnosis failed");
    refuse(stream, "internal");
  }
}

async function serveCredential(stream: ServerHttp2Stream, context: ControlRoutesContext): Promise<void> {
  if (context.credential === undefined) return refuse(stream, "not_allowed");
  try {
    const token = await context.credential();
    if (token === undefined) return refuse(stream, "not_found");
    if (!stream.destroyed) sendJson(stream, { token });
  } catch (error) {
    context.log.error({ err: error }, "/credential: the token could not be read");
    refuse(stream, "internal");
  }
}
