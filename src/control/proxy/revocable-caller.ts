/**
 * A caller that is being served: given up when it disconnects, cut off when its credential is revoked, its group of runners
 * is closed, or it does not read. HTTP requests, WebSockets and CONNECT tunnels all begin with one.
 */
import type { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import type { ErrorCode } from "../../wire/error-table.ts";
import { CodedError, TurnaboutError } from "../../wire/errors.ts";
import type { ActiveStream, ActiveStreams, CloseReason } from "../auth/active-streams.ts";
import type { Identity } from "../auth/identity.ts";
import type { RequestRecord } from "../records/request-record.ts";
import type { CallerShares } from "../shares/fair-shares.ts";
import { credentialHolder } from "../shares/holders.ts";
import { BULK_RESPONSE_BYTES } from "../shares/limits.ts";
import type { Delivery, StallReason, UnreadBytes } from "../shares/unread-bytes.ts";

type StreamOwner = Pick<ActiveStream, "identity" | "group" | "isShared">;

export interface RevocableCallerOptions {
  /** Aborted when the caller has disconnected, where its stream does not emit 'close' for that. */
  disconnected?: AbortSignal | undefined;
  /** The caller has closed before {@link RevocableCaller.complete}. */
  onDisconnect?: (() => void) | undefined;
  /** The caller has closed, in whatever way. */
  onEnd?: (() => void) | undefined;
  /** Whether it does not end by itself. Default: it does not. */
  isEndless?: (() => boolean) | undefined;
}

const STALLED: Readonly<Record<StallReason, CloseReason>> = {
  "not-read": { kind: "stalled", text: "the caller has stopped reading" },
  "too-many-bytes": { kind: "stalled", text: "too many bytes wait for this credential to read them" },
};

/** Who waits has an error of his own; without a reason, node makes one with a stack for each caller. */
const CLOSED = "the caller has closed";

export class RevocableCaller {
  readonly #abort = new AbortController();
  #onClose: ((reason: CloseReason) => void) | undefined;
  #unregister = (): void => {};
  #unwatch = (): void => {};
  #closed: CloseReason | undefined;
  #isComplete = false;
  readonly #isEndless: () => boolean;

  /** @param stream the caller's socket, stream or response */
  constructor(stream: EventEmitter, options: RevocableCallerOptions = {}) {
    const { disconnected, onDisconnect, onEnd, isEndless = () => true } = options;
    this.#isEndless = isEndless;
    disconnected?.addEventListener("abort", () => this.#abort.abort(CLOSED), { once: true });
    stream.on("error", () => {}); // permanent: 'error' can come after 'end'; 'close' always follows
    stream.once("close", () => {
      this.release();
      if (!this.#isComplete) {
        this.#abort.abort(CLOSED);
        onDisconnect?.();
      }
      onEnd?.();
    });
  }

  /** Aborted when the caller has disconnected or was closed from our side: gives up a dial. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Why it was closed from our side; undefined if it was not. */
  get closed(): CloseReason | undefined {
    return this.#closed;
  }

  /** It can be closed from our side, until its stream closes or {@link release}. @throws TurnaboutError `share_exceeded` */
  register(streams: ActiveStreams, owner: StreamOwner): void {
    const { identity, group, isShared } = owner;
    this.#unregister = streams.add({
      identity,
      group,
      isShared,
      isEndless: this.#isEndless,
      close: (reason) => this.#close(reason),
    });
  }

  /** From now on it is closed if it does not read what is written to it, until its stream closes or {@link release}. */
  watch(
    unread: UnreadBytes,
    { identity, ...counts }: Omit<Delivery, "holder" | "stop"> & { identity: Identity },
  ): void {
    const stop = (reason: StallReason): void => this.#close(STALLED[reason]);
    this.#unwatch = unread.add({ ...counts, holder: credentialHolder(identity), stop });
  }

  /** The same for the bytes of a tunnel, once it is joined to the caller. */
  watchTunnel(
    { turns, unread }: Pick<CallerShares, "turns" | "unread">,
    identity: Identity,
    { end, tunnel, record }: { end: Duplex; tunnel: Duplex; record: RequestRecord },
  ): void {
    followTunnel(record, end, tunnel);
    let isBulk = false;
    tunnel.on("data", () => {
      if (isBulk || record.bytesOut <= BULK_RESPONSE_BYTES) return;
      isBulk = true;
      turns.countBulk(credentialHolder(identity));
    });
    this.watch(unread, {
      identity,
      end,
      writtenBytes: () => record.bytesOut,
      heldBytes: () => tunnel.readableLength + tunnel.writableLength + end.readableLength,
    });
  }

  /** How it is closed once the signal no longer ends it. Replaces what was given before. */
  onClose(close: (reason: CloseReason) => void): void {
    this.#onClose = close;
  }

  /** All of its response is written, or it is joined to a tunnel: its 'close' is no disconnect. */
  complete(): void {
    this.#isComplete = true;
  }

  /** It can no longer be closed from our side. */
  release(): void {
    this.#unregister();
    this.#unwatch();
  }

  /** What to report for a failure of its dial, which is only aborted where we have closed it. */
  reasonFor(cause: unknown): unknown {
    return this.#closed === undefined ? cause : closedError(this.#closed, cause);
  }

  /** What its record says at the end: why we have closed it, if we have. */
  codeOf(code: string | undefined): string | undefined {
    return this.#closed === undefined ? code : CODES[this.#closed.kind];
  }

  #close(reason: CloseReason): void {
    this.#closed = reason;
    this.#abort.abort(CLOSED);
    this.#onClose?.(reason);
  }
}

/** Counts what passes, once both ends are joined, and notes the loss of the tunnel. */
export function followTunnel(record: RequestRecord, caller: Duplex, tunnel: Duplex): void {
  record.code = "ok";
  caller.on("data", (chunk: Buffer) => (record.bytesIn += chunk.length));
  tunnel.on("data", (chunk: Buffer) => (record.bytesOut += chunk.length));
  tunnel.once("error", (error) => {
    record.failed(error);
    if (!(error instanceof CodedError)) record.code = "target_closed";
  });
}

const CODES: Readonly<Record<CloseReason["kind"], ErrorCode>> = {
  revoked: "not_allowed",
  "group-closed": "not_allowed",
  restarting: "control_plane_draining",
  stalled: "caller_stalled",
};

export function closedError({ kind, text }: CloseReason, cause?: unknown): TurnaboutError {
  return new TurnaboutError(CODES[kind], text, { cause });
}
