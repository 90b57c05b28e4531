/** `dial()`: a stream to a target, waited for where that makes sense, tried again where nothing has been processed. */
import type { ClientHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { setTimeout as pause } from "node:timers/promises";
import type { DialOptions } from "../../wire/streams/dial.ts";
import { resetStream } from "../../wire/streams/end-stream.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { formatAuthority, isRunnerId, isTargetName } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { onResponse } from "../../wire/streams/response.ts";
import { lossOf, refusal, streamLost } from "../../wire/streams/tunnel-socket.ts";
import type { AgentConnection } from "./agent-connection.ts";
import { CROWDED_ATTEMPTS, CROWDED_PAUSE_MS, DIAL_ATTEMPTS, DIAL_TIMEOUT_MS } from "../limits.ts";
import type { ControlMetrics } from "../metrics.ts";
import type { Registry } from "./registry.ts";

export interface CallerDialOptions extends DialOptions {
  /** Id of the credential on whose behalf it is. Default: this process itself. */
  caller?: string;
  /** It takes over a stream that lies idle for the target's next request. */
  reusesStreams?: boolean;
  /** What the agent has refused this dial with before. */
  crowded?: TurnaboutError | undefined;
}

/** A dial whose target has too many streams at the moment: it lines up again, a limited number of times. */
export class SaturatedDial {
  #attempts = 0;

  /** Whether it may line up again, once a pause is over. */
  async again(): Promise<boolean> {
    this.#attempts += 1;
    if (this.#attempts >= CROWDED_ATTEMPTS) return false;
    await pause(this.#attempts * CROWDED_PAUSE_MS);
    return true;
  }
}

export class Dialer {
  readonly #registry: Registry;
  readonly #metrics: ControlMetrics;

  constructor(registry: Registry, metrics: ControlMetrics) {
    this.#registry = registry;
    this.#metrics = metrics;
  }

  /**
   * The connection for a destination whose target is known to exist.
   *
   * @throws TurnaboutError `runner_unknown`, `runner_offline`, `target_unknown`, `overloaded`, `aborted`, `bad_request`
   */
  async acquire(destination: Destination, options: CallerDialOptions = {}): Promise<AgentConnection> {
    const { runner, target } = destination;
    if (!isRunnerId(runner) || !isTargetName(target)) {
      throw new TurnaboutError("bad_request", "dial: not a runner id and a target name");
    }
    const connection = await this.#registry.acquire(runner, { ...options, target });
    if (connection.runners.get(runner)?.targets.some(({ name }) => name === target) !== true) {
      throw new TurnaboutError("target_unknown", `dial ${runner} ${target}: the runner has no such target`);
    }
    return connection;
  }

  /** Whether a connection of the runner takes new streams at this moment. */
  reaches(runnerId: string): boolean {
    return this.#registry.pick(runnerId) !== undefined;
  }

  /** A stream that the agent has answered with 200. @throws TurnaboutError the reason of the refusal */
  async openStream(destination: Destination, options: CallerDialOptions = {}): Promise<ClientHttp2Stream> {
    const label = `${destination.runner} ${destination.target}`;
    const startedAt = performance.now();
    const crowd = new SaturatedDial();
    let crowded: TurnaboutError | undefined;
    try {
      for (let attempt = 1; ; attempt += 1) {
        const connection = await this.acquire(destination, { ...options, crowded });
        let stream: ClientHttp2Stream | undefined;
        try {
          stream = connection.openStream({
            ":method": "CONNECT",
            ":authority": formatAuthority(destination),
          });
          await answered(stream, label, options.signal);
          this.#metrics.dials.inc({ outcome: "ok" });
          this.#metrics.dialSeconds.observe((performance.now() - startedAt) / 1_000);
          return stream;
        } catch (error) {
          crowded = asCrowded(error);
          if (crowded !== undefined && (await crowd.again())) continue;
          if (attempt >= DIAL_ATTEMPTS || !provablyUnprocessed(stream, error)) throw error;
        }
      }
    } catch (error) {
      this.#metrics.dials.inc({ outcome: error instanceof TurnaboutError ? error.code : "internal" });
      throw error;
    }
  }
}

/** The error of a dial that nothing has reached the target of, because that has too many streams. */
export function asCrowded(error: unknown): TurnaboutError | undefined {
  return error instanceof TurnaboutError && lossOf(error)?.crowded === true ? error : undefined;
}

/**
 * REFUSED_STREAM says that the agent has not looked at the request (RFC 9113 §8.7), and so does its refusal while it drains.
 *
 * @param stream undefined if it could not be opened
 */
export function provablyUnprocessed(stream: ClientHttp2Stream | undefined, error: unknown): boolean {
  return isRefusedStream(stream) || (error instanceof TurnaboutError && error.code === "agent_draining");
}

export function isRefusedStream(stream: ClientHttp2Stream | undefined): boolean {
  return stream?.rstCode === constants.NGHTTP2_REFUSED_STREAM;
}

async function answered(
  stream: ClientHttp2Stream,
  label: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    give(new TurnaboutError("tunnel_timeout", `dial ${label}: no answer within ${DIAL_TIMEOUT_MS} ms`));
  }, DIAL_TIMEOUT_MS);
  function give(error: Error): void {
    reject(error);
    resetStream(stream, error);
  }
  const onAbort = () => give(new TurnaboutError("aborted", `dial ${label}: given up`));
  const { session } = stream;
  onResponse(stream, {
    response: (headers) => {
      if (headers[":status"] === 200) resolve();
      else give(refusal(headers, label));
    },
    lost: (cause) => reject(streamLost(stream, label, { cause, session })),
  });
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
