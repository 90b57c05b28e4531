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
import type { OpenPeer, Peer } from "../peer.ts";
import { addStream, endStream, findHost } from "../state.ts";
import type { MoonlightState, MoonlightStream } from "../state.ts";
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
  readonly #user: User;
  readonly #context: SignallingContext;
  #stream: MoonlightStream | undefined;
  #peer: Peer | undefined;
  #transport: "WebRTC" | "WebSocket" = "WebRTC";
  #hasEnded = false;

  constructor(socket: BareSocket, user: User, context: SignallingContext) {
    this.#socket = socket;
    this.#user = user;
    this.#context = context;
  }

  receive({ opcode, isWhole, isMasked, payload }: Frame): void {
    if (opcode === OPCODE.ping || opcode === OPCODE.pong) return;
    if (opcode === OPCODE.close) return this.#end(() => this.#socket.end());
    if (!isWhole || !isMasked) return this.#end(() => this.#socket.abandon());
    if (opcode === OPCODE.binary) return this.#channel(payload);
    const [tag, value] = tagged(payload.toString("utf8"));
    const handler = tag === undefined ? undefined : this.#handlers[tag];
    if (handler === undefined) this.#end(() => this.#socket.abandon());
    else handler(value);
  }

  readonly #handlers: Readonly<Record<string, (value: unknown) => void>> = {
    Init: (value) => this.#open((value ?? {}) as Fields),
    SetTransport: (value) => {
      if (value === "WebRTC" || value === "WebSocket") this.#transport = value;
    },
    StartStream: (value) => this.#start((value ?? {}) as Fields),
    WebRtc: (value) => {
      if (isSignal(value)) this.#peer?.receive(value);
    },
  };

  #open({ host_id, app_id }: Fields): void {
    const { state } = this.#context;
    const host = findHost(state, host_id);
    const app = state.apps.find((each) => each.app_id === app_id);
    const isFull = state.streams.size >= MAX_ENTRIES;
    if (host?.paired !== "Paired" || app === undefined || isFull || this.#stream !== undefined) {
      this.#send({ DebugLog: { message: "the stream cannot be opened", ty: "fatalDescription" } });
      return this.#end(() => this.#socket.close());
    }
    const sessionId = `${this.#user.name}-${state.lastPid}`;
    const stream = addStream(state, {
      sessionId,
      clientUniqueId: null,
      mode: "create",
      hostId: host.host_id,
    });
    stream.viewer = {
      leave: (reason) => {
        this.#send(reason);
        this.#stream = undefined;
        this.#end(() => this.#socket.close());
      },
    };
    this.#stream = stream;
    this.#send({ UpdateApp: { app } });
    this.#send({ DebugLog: { message: "the streamer runs", ty: null } });
    this.#send({ Setup: { ice_servers: [] } });
  }

  #start({ settings }: Fields): void {
    if (this.#stream === undefined || this.#peer !== undefined) return;
    const { width, height, fps } = (settings ?? {}) as Fields;
    const complete = { ConnectionComplete: { capabilities: { touch: true }, format: 1, width, height, fps } };
    if (this.#transport === "WebSocket") {
      this.#send(complete);
      for (const channel of [CHANNEL.video, CHANNEL.audio]) this.#socket.sendBinary(Buffer.of(channel, 0, 0));
      return;
    }
    let isConnected = false;
    this.#peer = this.#context.openPeer(this.#stream.sessionId, {
      send: (signal) => this.#send({ WebRtc: signal }),
      connected: () => {
        if (isConnected || this.#hasEnded) return;
        isConnected = true;
        this.#send(complete);
        this.#peer?.addMedia();
      },
      lost: () => {
        this.#send({ ConnectionTerminated: { error_code: 0 } });
        this.#end(() => this.#socket.close());
      },
    });
  }

  /** Input is taken; a measurement of the round trip comes back. */
  #channel(payload: Buffer): void {
    if (payload[0] === CHANNEL.roundTrip) this.#socket.sendBinary(payload);
  }

  #end(then: () => void): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#peer?.close();
    if (this.#stream !== undefined) endStream(this.#context.state, this.#stream);
    then();
  }

  #send(message: object | string): void {
    if (!this.#hasEnded) this.#socket.sendText(JSON.stringify(message));
  }
}
