/**
 * v2's signalling on `WS /api/host/stream`, whose viewer is known from the handshake:
 *
 *     → Init                               ← UpdateApp, DebugLog, Setup
 *     → SetTransport, StartStream
 *     → WebRtc: the page's offer           ← WebRtc: the answer, candidates
 *     ← ConnectionComplete, WebRtc: an offer with the media
 *
 * With the transport `WebSocket` the media and the input go over the same socket, in binary messages whose first byte is the channel.
 * Pings are ignored.
 */
import { OPCODE } from "../../../wire/websocket/frame-header.ts";
import type { BareSocket, Frame } from "../bare-socket.ts";
import { MAX_ENTRIES } from "../limits.ts";
import { isSignal, tagged } from "../fork/client-message.ts";
import type { OpenPeer } from "../peer.ts";
import { addStream, findHost } from "../state.ts";
import type { MoonlightState } from "../state.ts";
import { Viewing } from "../viewing.ts";
import type { User } from "./identity.ts";

export interface SignallingContext {
  state: MoonlightState;
  openPeer: OpenPeer;
}

/** First byte of a binary message. */
const CHANNEL = { video: 2, audio: 3, roundTrip: 26 } as const;

type Fields = Readonly<Record<string, unknown>>;

export class UpstreamSignalling {
  readonly #socket: BareSocket;
  readonly #viewing: Viewing;
  readonly #user: User;
  readonly #context: SignallingContext;
  #transport: "WebRTC" | "WebSocket" = "WebRTC";

  constructor(socket: BareSocket, user: User, context: SignallingContext) {
    this.#socket = socket;
    this.#viewing = new Viewing(socket, context.state);
    this.#user = user;
    this.#context = context;
  }

  receive({ opcode, isWhole, isMasked, payload }: Frame): void {
    if (opcode === OPCODE.ping || opcode === OPCODE.pong) return;
    if (opcode === OPCODE.close) return this.#viewing.closed();
    if (!isWhole || !isMasked) return this.#viewing.abandon();
    if (opcode === OPCODE.binary) return this.#channel(payload);
    const [tag, value] = tagged(payload.toString("utf8"));
    const handler = tag === undefined ? undefined : this.#handlers[tag];
    if (handler === undefined) this.#viewing.abandon();
    else handler(value);
  }

  readonly #handlers: Readonly<Record<string, (value: unknown) => void>> = {
    Init: (value) => this.#open((value ?? {}) as Fields),
    SetTransport: (value) => {
      if (value === "WebRTC" || value === "WebSocket") this.#transport = value;
    },
    StartStream: (value) => this.#start((value ?? {}) as Fields),
    WebRtc: (value) => {
      if (isSignal(value)) this.#viewing.peer?.receive(value);
    },
  };

  #open({ host_id, app_id }: Fields): void {
    const { state } = this.#context;
    const host = findHost(state, host_id);
    const app = state.apps.find((each) => each.app_id === app_id);
    const isFull = state.streams.size >= MAX_ENTRIES;
    if (host?.paired !== "Paired" || app === undefined || isFull || this.#viewing.stream !== undefined) {
      this.#viewing.send({ DebugLog: { message: "the stream cannot be opened", ty: "fatalDescription" } });
      return this.#viewing.close();
    }
    const sessionId = `${this.#user.name}-${state.lastPid}`;
    const stream = addStream(state, {
      sessionId,
      clientUniqueId: null,
      mode: "create",
      hostId: host.host_id,
    });
    stream.viewer = this.#viewing;
    this.#viewing.stream = stream;
    this.#viewing.send({ UpdateApp: { app } });
    this.#viewing.send({ DebugLog: { message: "the streamer runs", ty: null } });
    this.#viewing.send({ Setup: { ice_servers: [] } });
  }

  #start({ settings }: Fields): void {
    const viewing = this.#viewing;
    const { stream } = viewing;
    if (stream === undefined || viewing.peer !== undefined) return;
    const { width, height, fps } = (settings ?? {}) as Fields;
    const complete = { ConnectionComplete: { capabilities: { touch: true }, format: 1, width, height, fps } };
    if (this.#transport === "WebSocket") {
      this.#viewing.send(complete);
      for (const channel of [CHANNEL.video, CHANNEL.audio]) this.#socket.sendBinary(Buffer.of(channel, 0, 0));
      return;
    }
    viewing.connect(this.#context.openPeer, stream, {
      send: (signal) => viewing.send({ WebRtc: signal }),
      connected: () => viewing.send(complete),
      lost: { ConnectionTerminated: { error_code: 0 } },
    });
  }

  /** Input is taken; a measurement of the round trip comes back. */
  #channel(payload: Buffer): void {
    if (payload[0] === CHANNEL.roundTrip) this.#socket.sendBinary(payload);
  }
}
