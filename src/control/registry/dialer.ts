/** `dial()`: opens a stream to a target, on the best connection, and again where the target has provably not seen it. */
import type { DialOptions } from "../../wire/streams/dial.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { isRunnerId, isTargetName } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import type { AgentConnection } from "./agent-connection.ts";
import { asSaturated, SaturatedDial } from "../tunnels/dial-retries.ts";
import { DIAL_ATTEMPTS, DIAL_TIMEOUT_MS } from "../limits.ts";
import type { ControlMetrics } from "../metrics.ts";
import { aborted, noResponse } from "../tunnels/http2-tunnel.ts";
import type { EarlyData } from "../tunnels/early-data.ts";
import type { RequestRecord } from "../records/request-record.ts";
import type { ExchangeTurns } from "../shares/exchange-turns.ts";
import type { Opening, TargetSocket, TargetStream } from "../tunnels/tunnel.ts";
import type { Registry } from "./registry.ts";
import type { Place } from "./waiting-dials.ts";

export interface CallerDialOptions extends Omit<DialOptions, "early"> {
  /** Whose share of the streams it takes. Default: this process itself. */
  caller?: string;
  /** It can take over an idle keep-alive stream of the target. */
  reusesStreams?: boolean;
  /** What the caller sends while its stream is being opened. */
  early?: EarlyData | undefined;
  /** The refusal of this dial's last attempt, if the target had too many streams. */
  saturated?: TurnaboutError | undefined;
  /** It has come from another node: it gets a connection of an agent here, or none. */
  localOnly?: boolean | undefined;
  /** Notes how far it has come. */
  record?: RequestRecord | undefined;
}

export class Dialer {
  readonly #registry: Registry;
  readonly #metrics: ControlMetrics;
  readonly #turns: Pick<ExchangeTurns, "turn">;

  constructor(registry: Registry, metrics: ControlMetrics, turns: Pick<ExchangeTurns, "turn">) {
    this.#registry = registry;
    this.#metrics = metrics;
    this.#turns = turns;
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
    options.record?.placed(place.connection.id);
    return place;
  }

  /** Whether a connection of the runner takes new streams now. */
  reaches(runnerId: string): boolean {
    return this.#registry.bestConnection(runnerId) !== undefined;
  }

  /**
   * Opens a stream, and again, on another connection if there is one, where the target has provably not seen the last.
   *
   * @param open opens it on the connection that was chosen; `onClose` is to be called when it has closed
   * @throws TurnaboutError the reason of the last refusal
   */
  async open<T>(
    destination: Destination,
    options: CallerDialOptions,
    open: (connection: AgentConnection, onClose: () => void) => Opening<T>,
  ): Promise<T> {
    const saturatedDial = new SaturatedDial();
    let saturated: TurnaboutError | undefined;
    // This process's own dials do not wait.
    if (options.caller !== undefined) await this.#turns.turn(options.caller);
    for (let attempt = 1; ; attempt += 1) {
      const { connection, release } = await this.acquire(destination, { ...options, saturated });
      let opening: Opening<T> | undefined;
      try {
        opening = open(connection, release);
        return await opening.accepted;
      } catch (error) {
        if (opening === undefined) release();
        saturated = asSaturated(error);
        if (saturated !== undefined && (await saturatedDial.mayRetry())) continue;
        const isUnprocessed = opening?.isUnprocessed(error) ?? isDraining(error);
        if (attempt >= DIAL_ATTEMPTS || !isUnprocessed) throw error;
      }
    }
  }

  /** Resolves to a stream that the target has accepted. @throws TurnaboutError the reason of the refusal */
  async openStream(destination: Destination, options: CallerDialOptions = {}): Promise<TargetStream> {
    const { signal, early, record } = options;
    const startedAt = performance.now();
    try {
      const stream = await this.open(destination, options, (connection, release) =>
        connection.open(destination, release, (tunnel, onClose) =>
          tunnel.openStream(destination, { onClose, signal, early, cause: record }),
        ),
      );
      record?.accepted();
      this.#countAccepted(startedAt);
      return stream;
    } catch (error) {
      this.#countRefused(error);
      throw error;
    }
  }

  /**
   * Opens a stream as a socket at once: bytes that are written now leave with the dial. A refusal is its 'error', and is not
   * tried again.
   *
   * @throws TurnaboutError if there is no place on a connection
   */
  async openSocket(
    destination: Destination,
    options: Omit<CallerDialOptions, "early"> = {},
  ): Promise<TargetSocket> {
    const startedAt = performance.now();
    const { signal, record } = options;
    const label = `${destination.runner} ${destination.target}`;
    try {
      if (signal?.aborted === true) throw aborted(label, signal);
      const socket = await this.open(destination, options, (connection, release) => ({
        accepted: Promise.resolve(connection.openSocket(destination, release, record)),
        isUnprocessed: () => false,
      }));
      const timer = setTimeout(() => socket.destroy(noResponse(label)), DIAL_TIMEOUT_MS);
      const onAbort = (): unknown => socket.destroy(aborted(label, signal));
      const settled = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        socket.off("close", onClose);
      };
      const onClose = (): void => {
        settled();
        this.#countRefused(socket.errored ?? aborted(label));
      };
      const onAccepted = (): void => {
        settled();
        record?.accepted();
        this.#countAccepted(startedAt);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      socket.onAccepted = onAccepted;
      socket.on("error", () => {}); // permanent: it may be refused before its owner listens
      socket.once("close", onClose);
      return socket;
    } catch (error) {
      this.#countRefused(error);
      throw error;
    }
  }

  #countAccepted(startedAt: number): void {
    this.#metrics.dials.inc({ outcome: "ok" });
    this.#metrics.dialSeconds.observe((performance.now() - startedAt) / 1_000);
  }

  #countRefused(error: unknown): void {
    this.#metrics.dials.inc({ outcome: error instanceof TurnaboutError ? error.code : "internal" });
  }
}

/** The connection that was chosen has begun to drain: nothing was opened on it. */
function isDraining(error: unknown): boolean {
  return error instanceof TurnaboutError && error.code === "agent_draining";
}
