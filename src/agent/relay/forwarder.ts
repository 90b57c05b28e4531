/** Connections on their way through the relay: asked for at the control plane, joined, drained. */
import type { Duplex } from "node:stream";
import { setMaxListeners } from "node:events";
import type { Socket } from "node:net";
import { carrierBytes } from "../../wire/session/carrier.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import type { Logger } from "../../wire/log.ts";
import { isRunnerId } from "../../wire/messages/names.ts";
import { ENDPOINT_RUNNER_PARAMETER } from "../../wire/protocol.ts";
import { abort, splice } from "../../wire/streams/splice.ts";
import type { TlsFiles } from "../transport/credentials.ts";
import { doorUrl, socketPathOf, zoneOf } from "../transport/server-url.ts";
import {
  MAX_RELAY_DIALS,
  MAX_RELAYED_CONNECTIONS,
  RELAY_DIAL_TIMEOUT_MS,
  RELAY_HALF_OPEN_MS,
  RELAY_QUIET_BYTES,
  RELAY_QUIET_MS,
} from "../limits.ts";
import type { AgentMetrics } from "../metrics.ts";
import { openTransport } from "../transport/transport.ts";
import type { Arrival } from "./listener.ts";
import { rawOwnAnswer } from "./error-response.ts";
import { isLoop, passedFields } from "./forwarded-fields.ts";
import { askUpstream } from "./upstream.ts";
import type { UpstreamAnswer } from "./upstream.ts";

export interface PassingContext {
  /** URL of the control plane, or of the next relay. */
  server: string;
  tls: TlsFiles;
  /** Random id of this relay. */
  relayId: string;
  log: Logger;
  metrics: AgentMetrics;
  /** Says something on a socket for the last time, and closes it. */
  answer(socket: Duplex, bytes: Buffer): void;
}

interface Joined {
  inner: Socket;
  outer: Duplex;
  /** Bytes that had moved when the drain last looked. */
  bytes: number;
}

export class RelayForwarder {
  readonly #context: PassingContext;
  readonly #joined = new Set<Joined>();
  readonly #closing = new AbortController();
  readonly #idle = Promise.withResolvers<void>();
  #dials = 0;
  #lastComplaint = "";

  constructor(context: PassingContext) {
    this.#context = context;
    setMaxListeners(0, this.#closing.signal);
  }

  get connections(): number {
    return this.#joined.size;
  }

  handle(arrival: Arrival): void {
    const refusal = this.#refusal(arrival);
    if (refusal !== undefined) return this.#refuse(arrival, refusal);
    this.#dials += 1;
    const inner = watch(arrival);
    void this.#ask(arrival, inner.gone)
      .then(
        (answer) => {
          inner.stop();
          this.#answered(arrival, answer);
        },
        (error: unknown) => {
          inner.stop();
          this.#failed(arrival, toError(error));
        },
      )
      .catch((error: unknown) => this.#lose(arrival.socket, toError(error)))
      .finally(() => {
        this.#dials -= 1;
        this.#settle();
      });
  }

  /** Busy connections go on until the deadline; the others close as soon as they are quiet. */
  async drain(deadlineMs: number): Promise<void> {
    this.#closing.abort(new TurnaboutError("agent_draining", "the relay is shutting down"));
    this.#settle();
    for (const joined of this.#joined) joined.bytes = carrierBytes(joined.inner);
    const look = setInterval(() => this.#closeQuiet(), RELAY_QUIET_MS);
    const deadline = setTimeout(() => this.destroy(), deadlineMs);
    await this.#idle.promise;
    clearInterval(look);
    clearTimeout(deadline);
  }

  destroy(): void {
    for (const { inner, outer } of this.#joined) {
      abort(inner);
      abort(outer);
    }
  }

  #refusal({ request }: Arrival): ErrorCode | undefined {
    if (this.#closing.signal.aborted) return "agent_draining";
    if (isLoop(request, this.#context.relayId)) return "relay_loop";
    const isFull = this.#joined.size + this.#dials >= MAX_RELAYED_CONNECTIONS;
    return isFull || this.#dials >= MAX_RELAY_DIALS ? "relay_full" : undefined;
  }

  async #ask({ request, socket, upgrade }: Arrival, gone: AbortSignal): Promise<UpstreamAnswer> {
    const { server, tls, relayId } = this.#context;
    const url = doorUrl(server);
    const timeout = AbortSignal.timeout(RELAY_DIAL_TIMEOUT_MS);
    const signal = AbortSignal.any([gone, timeout, this.#closing.signal]);
    // No ALPN, as for every upgrade; nothing of the relay's own credential is in it.
    const way = { url, zone: zoneOf(server), socketPath: socketPathOf(server) };
    const transport = await openTransport({ ...way, tls, alpn: [], signal });
    const query = (request.url ?? "").slice((request.url ?? "").split("?", 1)[0]?.length);
    const fields = passedFields(request, { host: url.host, upgrade, relayId, peer: socket.remoteAddress });
    try {
      const answer = await askUpstream(transport, url.pathname + query, fields, signal);
      if (answer.kind === "refused") transport.destroy();
      return answer;
    } catch (error) {
      transport.destroy();
      throw error;
    }
  }

  #answered(arrival: Arrival, answer: UpstreamAnswer): void {
    const { log, metrics } = this.#context;
    const { socket } = arrival;
    if (answer.kind === "refused") {
      metrics.relayedTotal.inc({ outcome: "refused" });
      this.#complain(arrival, `the control plane answered ${answer.status}`);
      return this.#context.answer(socket, answer.answer);
    }
    if (socket.destroyed) {
      metrics.relayedTotal.inc({ outcome: "aborted" });
      return abort(answer.stream);
    }
    const joined: Joined = { inner: socket, outer: answer.stream, bytes: 0 };
    this.#joined.add(joined);
    this.#lastComplaint = "";
    metrics.relayedTotal.inc({ outcome: "ok" });
    metrics.relayedConnections.set(this.#joined.size);
    log.info(describe(arrival), "relay: connection passed on");
    // FIN stays FIN, on both sides.
    socket.allowHalfOpen = true;
    answer.stream.allowHalfOpen = true;
    socket.setTimeout(0);
    socket.write(answer.answer);
    const ended = limitHalfOpen(joined);
    splice(socket, answer.stream, () => {
      ended();
      this.#joined.delete(joined);
      metrics.relayedConnections.set(this.#joined.size);
      this.#settle();
      new Guard().run(() => log.info(describe(arrival), "relay: connection closed"));
    });
  }

  /** What was made of an answer has thrown: nothing of the connection may be left for the drain to wait for. */
  #lose(socket: Socket, reason: Error): void {
    abort(socket, reason);
    for (const joined of this.#joined) {
      if (joined.inner !== socket) continue;
      this.#joined.delete(joined);
      abort(joined.outer, reason);
    }
    this.#context.metrics.relayedConnections.set(this.#joined.size);
  }

  #failed(arrival: Arrival, error: Error): void {
    if (arrival.socket.destroyed) {
      this.#context.metrics.relayedTotal.inc({ outcome: "aborted" });
      return;
    }
    this.#refuse(arrival, this.#closing.signal.aborted ? "agent_draining" : codeOf(error), error.message);
  }

  #refuse(arrival: Arrival, code: ErrorCode, reason: string = code): void {
    this.#context.metrics.relayedTotal.inc({ outcome: code });
    this.#complain(arrival, reason);
    this.#context.answer(arrival.socket, rawOwnAnswer(code));
  }

  /** Once at full voice: agents may try for weeks. */
  #complain(arrival: Arrival, reason: string): void {
    const level = reason === this.#lastComplaint ? "debug" : "warn";
    this.#context.log[level]({ ...describe(arrival), reason }, "relay: not passed on");
    this.#lastComplaint = reason;
  }

  #closeQuiet(): void {
    for (const joined of this.#joined) {
      const bytes = carrierBytes(joined.inner);
      const isQuiet = bytes - joined.bytes < RELAY_QUIET_BYTES;
      joined.bytes = bytes;
      if (!isQuiet) continue;
      joined.inner.destroy();
      joined.outer.destroy();
    }
  }

  #settle(): void {
    if (this.#closing.signal.aborted && this.#joined.size === 0 && this.#dials === 0) this.#idle.resolve();
  }
}

/** A side that has ended and one that never will: behind a silent path nobody else would notice. */
function limitHalfOpen({ inner, outer }: Joined): () => void {
  let timer: NodeJS.Timeout | undefined;
  const onEnd = () => {
    timer ??= setTimeout(() => {
      abort(inner);
      abort(outer);
    }, RELAY_HALF_OPEN_MS);
  };
  inner.once("end", onEnd);
  outer.once("end", onEnd);
  return () => clearTimeout(timer);
}

/** What the agent behind is told. A file that the relay cannot read is no fault of the agent's. */
function codeOf(error: Error): ErrorCode {
  if (!(error instanceof TurnaboutError)) return "bad_request"; // node has refused to send it on
  return error.code === "config_invalid" ? "server_unreachable" : error.code;
}

/** For the log: where from, and for whom. Never the token. */
function describe({ request, socket }: Arrival): { peer: string; runners: string[] } {
  const query = new URLSearchParams((request.url ?? "").split("?", 2)[1]);
  const runners = query.getAll(ENDPOINT_RUNNER_PARAMETER).filter(isRunnerId).slice(0, 4);
  return { peer: socket.remoteAddress ?? "unix", runners };
}

/** An agent that goes away while the control plane is asked: nobody needs the answer then. */
function watch({ socket, head }: Arrival): { gone: AbortSignal; stop: () => void } {
  const gone = new AbortController();
  const leave = () => {
    socket.destroy();
    gone.abort(new TurnaboutError("aborted", "the agent behind the relay went away"));
  };
  // Its FIN is seen by reading only. What it says before the answer is kept, and then nothing more is read.
  const early = (chunk: Buffer) => {
    socket.off("data", early);
    socket.pause();
    socket.unshift(chunk);
  };
  if (head.length > 0) socket.unshift(head);
  socket.on("data", early);
  socket.once("end", leave);
  socket.once("close", leave);
  const stop = () => {
    socket.off("data", early);
    socket.off("end", leave);
    socket.off("close", leave);
  };
  return { gone: gone.signal, stop };
}
