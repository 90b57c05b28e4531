/**
 * Follows `GET /events` of an agent: runners that are added and removed, and the health of targets. If the stream ends before
 * the connection (the agent ends it when we read too slowly), `/hello` is requested again, and the changes are applied.
 */
import { setTimeout as pause } from "node:timers/promises";
import type { ClientHttp2Stream } from "node:http2";
import { parseAgentEvent } from "../../wire/messages/agent-events.ts";
import type { AgentEvent } from "../../wire/messages/agent-events.ts";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { toError } from "../../wire/errors.ts";
import { parseHello } from "../../wire/messages/hello.ts";
import type { Hello } from "../../wire/messages/hello.ts";
import { MAX_EVENT_LINE_BYTES } from "../../wire/limits.ts";
import type { Logger } from "../../wire/log.ts";
import { AGENT_AUTHORITY, AGENT_PATHS } from "../../wire/protocol.ts";
import { LineSplitter } from "../../wire/streams/line-splitter.ts";
import { TokenBucket } from "../../wire/token-bucket.ts";
import {
  AGENT_CHANGES_BURST,
  AGENT_CHANGES_PER_S,
  EVENT_BYTES_BURST,
  EVENT_BYTES_PER_S,
  EVENT_LINE_COST_BYTES,
  EVENTS_EXCESS_MS,
  EVENTS_RETRY_MS,
  EVENTS_STABLE_MS,
  MAX_EVENTS_RETRY_MS,
  MAX_INVALID_EVENTS,
} from "../limits.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import type { Registry } from "../registry/registry.ts";
import type { AgentBudget } from "./agent-budgets.ts";
import { AgentChanges } from "./agent-changes.ts";
import { getAgentJson } from "./agent-client.ts";
import { offerRunner } from "./refused-runners.ts";

export interface FollowContext {
  registry: Registry;
  log: Logger;
  /** Of the agent's credential. */
  budget: AgentBudget;
}

/** Resolves when the connection takes no more new streams. Never rejects. */
export async function followEvents(connection: AgentConnection, context: FollowContext): Promise<void> {
  const follower = new EventFollower(connection, context);
  connection.draining.addEventListener("abort", () => follower.stop(), { once: true });
  await follower.run();
}

class EventFollower {
  readonly #connection: AgentConnection;
  readonly #context: FollowContext;
  readonly #ownChanges = new TokenBucket({ burst: AGENT_CHANGES_BURST, perS: AGENT_CHANGES_PER_S });
  readonly #ownBytes = new TokenBucket({ burst: EVENT_BYTES_BURST, perS: EVENT_BYTES_PER_S });
  readonly #changes: AgentChanges;
  #stream: ClientHttp2Stream | undefined;
  #readTimer: NodeJS.Timeout | undefined;
  /** Since when this connection has reported more than its own budgets allow; undefined while it does not. */
  #excessSinceMs: number | undefined;
  #invalid = 0;
  /** In the chunk that is read. */
  #lines = 0;

  constructor(connection: AgentConnection, context: FollowContext) {
    this.#connection = connection;
    this.#context = context;
    this.#changes = new AgentChanges({
      budgets: [this.#ownChanges, context.budget.changes],
      isKnown: (id) => connection.runners.has(id) || connection.refused.has(id),
      apply: (event) => this.#apply(event),
      onRoom: () => this.#read(),
    });
  }

  async run(): Promise<void> {
    const connection = this.#connection;
    let retryMs = EVENTS_RETRY_MS;
    while (connection.usable) {
      const startedAt = performance.now();
      try {
        await this.#follow();
        retryMs = performance.now() - startedAt >= EVENTS_STABLE_MS ? EVENTS_RETRY_MS : retryMs;
        await pause(retryMs, undefined, { ref: false });
        if (!connection.usable) break;
        this.#catchUp(parseHello(await getAgentJson(connection.http2Session, AGENT_PATHS.hello)));
      } catch (error) {
        if (!connection.usable) break;
        const reason = toError(error).message;
        this.#context.budget.log.warn({ connection: connection.id, reason }, "agent events interrupted");
        await pause(retryMs, undefined, { ref: false });
      }
      retryMs = Math.min(2 * retryMs, MAX_EVENTS_RETRY_MS);
    }
    this.#changes.clear();
  }

  /** Otherwise the stream would keep the connection open: a plain HTTP/2 server does not tell its agent of our GOAWAY. */
  stop(): void {
    clearTimeout(this.#readTimer);
    this.#changes.clear();
    if (this.#stream !== undefined) resetStream(this.#stream, new Error("the connection is draining"));
  }

  /** Resolves when the stream ends. A line that is not valid is logged and skipped. */
  async #follow(): Promise<void> {
    const stream = this.#connection.http2Session.request({
      ":method": "GET",
      ":path": AGENT_PATHS.events,
      ":scheme": "http",
      ":authority": AGENT_AUTHORITY,
    });
    this.#stream = stream;
    const { promise, resolve } = Promise.withResolvers<void>();
    stream.on("error", () => {}); // permanently
    stream.once("close", resolve);
    const lines = new LineSplitter(MAX_EVENT_LINE_BYTES, {
      line: (text) => this.#takeLine(text),
      tooLong: () => this.#refuse(`events: a line of more than ${MAX_EVENT_LINE_BYTES} bytes`),
    });
    stream.on("data", (chunk: Buffer) => {
      this.#lines = 0;
      lines.push(chunk);
      this.#spend(chunk.length + this.#lines * EVENT_LINE_COST_BYTES);
      this.#read();
    });
    await promise;
    this.#stream = undefined;
    clearTimeout(this.#readTimer);
  }

  #takeLine(text: string): void {
    this.#lines += 1;
    if (text === "" || !this.#connection.usable) return;
    try {
      const event = parseAgentEvent(text);
      if (event !== undefined) this.#changes.push(event);
    } catch (error) {
      this.#refuse(toError(error).message);
    }
  }

  #refuse(reason: string): void {
    const connection = this.#connection;
    if (!connection.usable) return;
    this.#context.budget.log.warn({ connection: connection.id, reason }, "agent event refused");
    this.#invalid += 1;
    if (this.#invalid >= MAX_INVALID_EVENTS)
      this.#end("tunnel_protocol", "too many events that are not valid");
  }

  #spend(bytes: number): void {
    this.#ownBytes.spend(bytes);
    this.#context.budget.eventBytes.spend(bytes);
  }

  /** Lets the stream flow, or stops it until there is room; HTTP/2 flow control then stops the agent. */
  #read(): void {
    const stream = this.#stream;
    if (stream === undefined || stream.destroyed || !this.#connection.usable) return;
    clearTimeout(this.#readTimer);
    if (this.#isExcessive()) return this.#end("rate_limited", "it reports more events than it may");
    const waitMs = Math.max(this.#ownBytes.waitMs(), this.#context.budget.eventBytes.waitMs());
    if (waitMs === 0 && !this.#changes.isFull) return void stream.resume();
    stream.pause();
    if (waitMs === 0) return; // until `onRoom`
    this.#readTimer = setTimeout(() => this.#read(), waitMs);
    this.#readTimer.unref();
  }

  /** Its own budgets have been used up, without a recovery in between, for too long. Those of its credential do not count. */
  #isExcessive(): boolean {
    const now = performance.now();
    const isOver = this.#ownBytes.waitMs() > 0 || (this.#changes.isFull && this.#ownChanges.waitMs() > 0);
    if (isOver) this.#excessSinceMs ??= now;
    else if (
      this.#ownBytes.waitMs(EVENT_BYTES_BURST / 2) === 0 &&
      this.#ownChanges.waitMs(AGENT_CHANGES_BURST / 2) === 0
    ) {
      this.#excessSinceMs = undefined;
    }
    return isOver && now - (this.#excessSinceMs ?? now) >= EVENTS_EXCESS_MS;
  }

  #end(code: "rate_limited" | "tunnel_protocol", reason: string): void {
    const connection = this.#connection;
    connection.drain("refused", `${code}: ${reason}`);
    const fields = { connection: connection.id, credential: this.#context.budget.credential, reason };
    this.#context.log.warn(fields, "events of an agent exceed their limits; closing its connection");
  }

  /** What the response to `/hello` has and the connection does not, and the other way round. */
  #catchUp(hello: Hello): void {
    const { runners, refused } = this.#connection;
    this.#changes.clear(); // they are older
    const present = new Set(hello.runners.map(({ id }) => id));
    for (const id of [...runners.keys(), ...refused.keys()]) {
      if (!present.has(id)) this.#changes.push({ type: "runner-removed", id });
    }
    for (const runner of hello.runners) {
      const known = runners.get(runner.id) ?? refused.get(runner.id);
      if (JSON.stringify(known) === JSON.stringify(runner)) continue;
      this.#changes.push({ type: "runner-added", runner });
    }
  }

  #apply(event: AgentEvent): void {
    const { registry } = this.#context;
    const connection = this.#connection;
    if (!connection.usable) return;
    try {
      if (event.type === "runner-added") offerRunner(connection, event.runner, this.#context);
      else if (event.type === "runner-removed") registry.removeRunner(connection, event.id);
      else registry.setTargetHealth(connection, event.runner, event.target, event.healthy);
    } catch (error) {
      this.#refuse(toError(error).message);
    }
  }
}
