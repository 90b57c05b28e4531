/** `dial()`: opens a stream to a target, on the best connection, and again where the target has provably not seen it. */
import type { ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import type { DialOptions } from "../../wire/streams/dial.ts";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { formatAuthority, isRunnerId, isTargetName } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { onResponse } from "../../wire/streams/response.ts";
import { refusal, streamLost } from "../../wire/streams/stream-error.ts";
import type { AgentConnection } from "./agent-connection.ts";
import { asSaturated, isProvablyUnprocessed, SaturatedDial } from "./dial-retries.ts";
import { DIAL_ATTEMPTS, DIAL_TIMEOUT_MS } from "../limits.ts";
import type { ControlMetrics } from "../metrics.ts";
import type { Registry } from "./registry.ts";
import type { Place } from "./waiting-dials.ts";

export interface CallerDialOptions extends DialOptions {
  /** Whose share of the streams it takes. Default: this process itself. */
  caller?: string;
  /** It can take over an idle keep-alive stream of the target. */
  reusesStreams?: boolean;
  /** The refusal of this dial's last attempt, if the target had too many streams. */
  saturated?: TurnaboutError | undefined;
}

export interface PreparedStream<T> {
  headers: OutgoingHttpHeaders;
  /** The agent marks its own refusals: {@link isProvablyUnprocessed}. */
  marksRefusals: boolean;
  /** Resolves when the stream is accepted. */
  accepted(this: void, stream: ClientHttp2Stream): Promise<T>;
}

export class Dialer {
  readonly #registry: Registry;
  readonly #metrics: ControlMetrics;

  constructor(registry: Registry, metrics: ControlMetrics) {
    this.#registry = registry;
    this.#metrics = metrics;
  }

  /**
   * Resolves to a place on a connection, for a target that its agent has announced. It counts until it is released.
   *
   * @throws TurnaboutError `runner_unknown`, `runner_offline`, `target_unknown`, `overloaded`, `aborted`, `bad_request`
   */
  async acquire(destination: Destination, options: CallerDialOptions = {}): Promise<Place> {
    const { runner, target } = destination;
    if (!isRunnerId(runner) || !isTargetName(target)) {
      throw new TurnaboutError("bad_request", "dial: invalid runner id or target name");
    }
    const place = await this.#registry.acquire(runner, { ...options, target });
    if (place.connection.targetInfo(destination) === undefined) {
      place.release();
      throw new TurnaboutError("target_unknown", `dial ${runner} ${target}: the runner has no such target`);
    }
    return place;
  }

  /** Whether a connection of the runner takes new streams now. */
  reaches(runnerId: string): boolean {
    return this.#registry.bestConnection(runnerId) !== undefined;
  }

  /**
   * Opens a stream, and again, on another connection if there is one, where the target has provably not seen the last.
   *
   * @param prepare the stream for the connection that was chosen. What it throws is final
   * @throws TurnaboutError the reason of the last refusal
   */
  async open<T>(
    destination: Destination,
    options: CallerDialOptions,
    prepare: (connection: AgentConnection) => PreparedStream<T>,
  ): Promise<T> {
    const saturatedDial = new SaturatedDial();
    let saturated: TurnaboutError | undefined;
    for (let attempt = 1; ; attempt += 1) {
      const { connection, release } = await this.acquire(destination, { ...options, saturated });
      let marksRefusals = true;
      let stream: ClientHttp2Stream | undefined;
      try {
        const prepared = prepare(connection);
        ({ marksRefusals } = prepared);
        stream = connection.openStream(prepared.headers);
        stream.once("close", release);
        return await prepared.accepted(stream);
      } catch (error) {
        if (stream === undefined) release();
        saturated = asSaturated(error);
        if (saturated !== undefined && (await saturatedDial.mayRetry())) continue;
        if (attempt >= DIAL_ATTEMPTS || !isProvablyUnprocessed(stream, error, marksRefusals)) throw error;
      }
    }
  }

  /** Resolves to a stream that the agent has accepted. @throws TurnaboutError the reason of the refusal */
  async openStream(destination: Destination, options: CallerDialOptions = {}): Promise<ClientHttp2Stream> {
    const label = `${destination.runner} ${destination.target}`;
    const headers = { ":method": "CONNECT", ":authority": formatAuthority(destination) };
    const startedAt = performance.now();
    try {
      const stream = await this.open(destination, options, () => ({
        headers,
        marksRefusals: true,
        accepted: (opened) => accepted(opened, label, options.signal),
      }));
      this.#metrics.dials.inc({ outcome: "ok" });
      this.#metrics.dialSeconds.observe((performance.now() - startedAt) / 1_000);
      return stream;
    } catch (error) {
      this.#metrics.dials.inc({ outcome: error instanceof TurnaboutError ? error.code : "internal" });
      throw error;
    }
  }
}

/** Resolves when the agent responds with 200. Any other end resets the stream. */
async function accepted(
  stream: ClientHttp2Stream,
  label: string,
  signal: AbortSignal | undefined,
): Promise<ClientHttp2Stream> {
  const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Stream>();
  const timer = setTimeout(() => {
    fail(new TurnaboutError("tunnel_timeout", `dial ${label}: no response within ${DIAL_TIMEOUT_MS} ms`));
  }, DIAL_TIMEOUT_MS);
  function fail(error: Error): void {
    reject(error);
    resetStream(stream, error);
  }
  const onAbort = () => fail(new TurnaboutError("aborted", `dial ${label}: aborted by the caller`));
  const { session } = stream;
  onResponse(stream, {
    response: (headers) => {
      if (headers[":status"] === 200) resolve(stream);
      else fail(refusal(headers, label));
    },
    lost: (cause) => reject(streamLost(stream, label, { cause, http2Session: session })),
  });
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
