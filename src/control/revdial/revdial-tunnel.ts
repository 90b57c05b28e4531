/**
 * A RevDial client as the registry sees it: a control connection, and for each dial a data connection that the client opens. The
 * client has one target. When it drains, its control connection closes at once, so that it dials again; data connections are
 * independent of it, and may finish.
 */
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { PICKUP_PARAMETER } from "../../wire/protocol.ts";
import type { Goaway, GoawayReason } from "../../wire/session/goaway.ts";
import { watchPeer } from "../../wire/session/keepalive.ts";
import type { Death, Liveness, WatchOptions } from "../../wire/session/keepalive.ts";
import { lossOf } from "../../wire/streams/stream-error.ts";
import type {
  Opening,
  OpenOptions,
  TargetSocket,
  TargetStream,
  Tunnel,
  TunnelKind,
  WebSocketRequest,
  WebSocketResponse,
} from "../tunnels/tunnel.ts";
import { ControlChannel } from "./control-channel.ts";
import { DialSocket } from "./dial-socket.ts";
import { EndConfirmations } from "./end-confirmations.ts";
import { CLIENT_LOSS_MS, MAX_STREAMS } from "./limits.ts";
import type { Pickups } from "./pickups.ts";
import { openTargetWebSocket } from "./target-websocket.ts";

export interface RevDialTunnelParts {
  /** Its control connection, and the connection below that. */
  webSocket: WebSocket;
  socket: Duplex;
  remoteAddress: string | undefined;
  /** Id of its credential: pick-ups have the same. */
  credential: string;
  pickups: Pickups;
  /** Path of a pick-up, without a query. */
  pickupPath: string;
  keepalive: WatchOptions;
  /** It does not respond: the tunnel is to be destroyed. */
  onDead: (death: Death) => void;
  /** Its client has not kept to the protocol, and one of its data connections is being closed. */
  onFault: (reason: string) => void;
}

/** Registered codes of a Close frame (RFC 6455 §7.4.1). */
const CLOSE_CODES: Readonly<Record<GoawayReason, number>> = {
  draining: 1012,
  replaced: 1001,
  kicked: 1001,
  refused: 1008,
};

export class RevDialTunnel implements Tunnel {
  readonly kind: TunnelKind = "revdial";
  readonly isAgentsOnly = true;
  readonly remoteAddress: string | undefined;
  readonly maxStreams: number = MAX_STREAMS;
  readonly #parts: RevDialTunnelParts;
  readonly #control: ControlChannel;
  readonly #liveness: Liveness;
  readonly #ends = new EndConfirmations((onAcknowledged) => this.#control.ping(onAcknowledged));
  readonly #dials = new Set<DialSocket>();
  /** Those that are not picked up yet, by their id. */
  readonly #waiting = new Map<string, DialSocket>();
  readonly #onClose: (() => void)[] = [];
  readonly #onDrain: ((isShutdown: boolean) => void)[] = [];
  #isClosing = false;
  /** When its control connection closed other than by our doing, on the clock of `performance.now()`. */
  #lostAtMs = -Infinity;
  #isDestroyed = false;
  #hasClosed = false;
  transferredBytes = 0;

  constructor(parts: RevDialTunnelParts) {
    this.#parts = parts;
    this.remoteAddress = parts.remoteAddress;
    this.#control = new ControlChannel(parts.webSocket, parts.socket, {
      pickupFailed: (path, reason) => this.#pickupFailed(path, reason),
      closed: (reason) => this.#controlClosed(reason),
    });
    this.#liveness = watchPeer(
      {
        isOver: () => this.#control.isClosed,
        ping: (onAcknowledged) => this.#control.ping(onAcknowledged),
        end: (reason) => this.destroy(new TurnaboutError("tunnel_lost", reason.message)),
      },
      () => this.#control.receivedBytes,
      parts.onDead,
      parts.keepalive,
    );
  }

  get rttMs(): number | undefined {
    return this.#liveness.rttMs;
  }

  get isOpen(): boolean {
    return !this.#isClosing && !this.hasEnded && !this.#control.isClosed;
  }

  get hasEnded(): boolean {
    return this.#isDestroyed || this.#hasClosed;
  }

  get hasLeftUnannounced(): boolean {
    return this.#lostAtMs !== -Infinity && !this.#isDestroyed;
  }

  onClose(listener: () => void): void {
    this.#onClose.push(listener);
  }

  onDrain(listener: (isShutdown: boolean) => void): void {
    this.#onDrain.push(listener);
  }

  openSocket(destination: Destination, onClose: () => void): TargetSocket {
    return this.#dial(destination, onClose);
  }

  openStream(destination: Destination, { onClose, signal, early }: OpenOptions): Opening<TargetStream> {
    const dial = this.#dial(destination, onClose);
    abortWith(signal, dial);
    early?.sendTo(dial);
    return { accepted: dial.pickedUp, isUnprocessed };
  }

  openWebSocket(
    destination: Destination,
    request: WebSocketRequest,
    { onClose, signal }: OpenOptions,
  ): Opening<WebSocketResponse> {
    const dial = this.#dial(destination, onClose);
    abortWith(signal, dial);
    return { accepted: openTargetWebSocket(dial, request), isUnprocessed };
  }

  ping(onAcknowledged: (error: Error | null, durationMs: number) => void): void {
    this.#control.ping(onAcknowledged);
  }

  /** The client dials again when its control connection has closed: no other message would make it. */
  announceEnd({ reason, message }: Goaway): void {
    this.#isClosing = true;
    this.#abandonWaiting("agent_draining", message);
    this.#control.close(CLOSE_CODES[reason], message);
  }

  close(): void {
    this.#isClosing = true;
    this.#closeIfDone();
  }

  destroy(reason: TurnaboutError): void {
    if (this.hasEnded) return;
    this.#isDestroyed = true;
    this.#isClosing = true;
    this.#abandonWaiting("tunnel_lost", reason.message);
    for (const dial of this.#dials) dial.endHere(reason);
    this.#control.terminate();
    this.#closeIfDone();
  }

  /** It has just ended, or is ending: a client that has only lost its control connection goes on. */
  get #isClientLost(): boolean {
    if (this.#isDestroyed) return true;
    const isReported = this.#lostAtMs !== -Infinity;
    if (this.#isClosing && !isReported) return false;
    return this.#control.isClosed && (!isReported || performance.now() - this.#lostAtMs < CLIENT_LOSS_MS);
  }

  #dial({ runner, target }: Destination, onClose: () => void): DialSocket {
    const { credential, pickups, pickupPath } = this.#parts;
    let dial: DialSocket | undefined;
    const id = pickups.add({
      credential,
      deliver: (pickedUp) => {
        if (!pickedUp.readsInPieces) this.#control.readsWholeMessages();
        dial?.attach(pickedUp);
      },
    });
    dial = new DialSocket({
      label: `${runner} ${target}`,
      isClientLost: () => this.#isClientLost,
      confirmEnd: (done) => this.#ends.confirm(done),
      onBytes: (bytes) => (this.transferredBytes += bytes),
      onFault: this.#parts.onFault,
    });
    this.#dials.add(dial);
    this.#waiting.set(id, dial);
    const settled = (): void => {
      pickups.forget(id);
      this.#waiting.delete(id);
    };
    dial.pickedUp.then(settled, settled);
    const opened = dial;
    dial.once("close", () => {
      this.#dials.delete(opened);
      onClose();
      this.#closeIfDone();
    });
    this.#control.announceDial(`${pickupPath}?${PICKUP_PARAMETER}=${id}`);
    return dial;
  }

  #pickupFailed(path: string, reason: string): void {
    const { search } = URL.parse(path, "http://client") ?? {};
    const id = new URLSearchParams(search).get(PICKUP_PARAMETER) ?? "";
    const dial = this.#waiting.get(id);
    const { label } = dial ?? {};
    const message = `dial ${label ?? ""}: the agent could not pick it up: ${reason}`;
    dial?.destroy(new TurnaboutError("tunnel_lost", message));
  }

  #controlClosed(reason: string): void {
    this.#liveness.stop();
    this.#abandonWaiting("tunnel_lost", reason);
    if (this.#isClosing) return this.#closeIfDone();
    this.#lostAtMs = performance.now();
    for (const listener of this.#onDrain.splice(0)) listener(false);
    this.#closeIfDone();
  }

  #abandonWaiting(code: "tunnel_lost" | "agent_draining", reason: string): void {
    for (const dial of this.#waiting.values()) dial.abandon(code, reason);
  }

  /** Its control connection and all of its dials have closed. */
  #closeIfDone(): void {
    if (!this.#isClosing || this.#hasClosed || this.#dials.size > 0 || !this.#control.hasClosed) return;
    this.#hasClosed = true;
    process.nextTick(() => {
      for (const listener of this.#onClose.splice(0)) listener();
    });
  }
}

function isUnprocessed(error: unknown): boolean {
  return lossOf(error)?.unprocessed === true;
}

function abortWith(signal: AbortSignal | undefined, dial: DialSocket): void {
  if (signal === undefined) return;
  const onAbort = (): void => {
    const message = `dial ${dial.label}: aborted by the caller`;
    dial.destroy(new TurnaboutError("aborted", message, { cause: signal.reason }));
  };
  const settled = (): void => signal.removeEventListener("abort", onAbort);
  signal.addEventListener("abort", onAbort, { once: true });
  dial.pickedUp.then(settled, settled);
  if (signal.aborted) onAbort();
}
