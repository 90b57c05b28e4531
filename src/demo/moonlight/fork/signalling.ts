/**
 * The fork's signalling on `WS /api/host/stream`: JSON text messages.
 *
 *     → AuthenticateAndInit
 *     ← UpdateApp, StageStarting, StageComplete, … WebRtcConfig, …
 *     → Signaling: the page's offer     ← Signaling: the answer, candidates
 *       … the peers connect …
 *     ← StageStarting, StageComplete, … ConnectionComplete, Signaling: an offer with the media
 *     → Signaling: the page's answer
 *
 * What the real handler does not survive (a ping, a binary or fragmented message, a message that it cannot parse) ends it: its stream
 * ends, and the connection stays open and silent. A Close ends the stream as well. The end of the TCP connection does not:
 * without a Close the stream lives on.
 */
import { OPCODE } from "../../../wire/websocket/frame-header.ts";
import type { BareSocket, Frame } from "../bare-socket.ts";
import { MAX_ENTRIES } from "../limits.ts";
import type { OpenPeer, Peer } from "../peer.ts";
import { addStream, endStream, findHost } from "../state.ts";
import type { MoonlightState, MoonlightStream } from "../state.ts";
import { sameSecret } from "./auth.ts";
import { parseClientMessage } from "./client-message.ts";
import type { StreamInit } from "./client-message.ts";
import { complete, connectionStages, LAUNCH, NEGOTIATE, SET_UP_PEER, starting } from "./stages.ts";

export interface SignallingContext {
  state: MoonlightState;
  credentials: string;
  openPeer: OpenPeer;
}

export class ForkSignalling {
  readonly #socket: BareSocket;
  readonly #context: SignallingContext;
  #stream: MoonlightStream | undefined;
  #peer: Peer | undefined;
  #hasEnded = false;

  constructor(socket: BareSocket, context: SignallingContext) {
    this.#socket = socket;
    this.#context = context;
  }

  receive({ opcode, isWhole, isMasked, payload }: Frame): void {
    if (opcode === OPCODE.close) return this.#end(() => this.#socket.end());
    const isControl = opcode === OPCODE.ping || opcode === OPCODE.pong;
    if (isControl && isWhole && isMasked && this.#stream === undefined) return;
    const isText = opcode === OPCODE.text && isWhole && isMasked;
    const message = isText ? parseClientMessage(payload.toString("utf8")) : undefined;
    if (message === undefined) this.#end(() => this.#socket.abandon());
    else if (message.tag === "Signaling" && this.#stream !== undefined) this.#peer?.receive(message.signal);
    else if (message.tag === "AuthenticateAndInit" && this.#stream === undefined) this.#open(message.init);
    else this.#end(() => this.#socket.close());
  }

  #open(init: StreamInit): void {
    const { state, credentials } = this.#context;
    if (!sameSecret(init.credentials ?? "", credentials)) {
      this.#send({ StageFailed: { stage: "Authentication", error_code: -1 } });
      return this.#refuse();
    }
    const existing = state.streams.get(init.session_id);
    if (existing !== undefined) return this.#reopen(existing, init);
    if (init.mode === "join") return this.#refuse("SessionNotFound");
    const host = findHost(state, init.host_id);
    if (host === undefined) return this.#refuse("HostNotFound");
    if (host.paired === "NotPaired") return this.#refuse("HostNotPaired");
    const app = state.apps.find(({ app_id }) => app_id === init.app_id);
    if (app === undefined) return this.#refuse("AppNotFound");
    if (state.streams.size >= MAX_ENTRIES) return this.#refuse("InternalServerError");

    const { session_id: sessionId, client_unique_id: clientUniqueId, mode } = init;
    const stream = addStream(state, { sessionId, clientUniqueId, mode, hostId: host.host_id });
    this.#stream = stream;
    this.#send({ UpdateApp: { app } });
    this.#send(starting(LAUNCH));
    // The streamer runs; without a viewer nothing more is to be said.
    if (mode === "keepalive") {
      stream.keeper = { leave: (reason) => this.#leave(reason) };
      return;
    }
    this.#attach(stream, init);
    this.#send(complete(LAUNCH));
    this.#send(starting(SET_UP_PEER));
    this.#sendConfig();
    this.#send(complete(SET_UP_PEER));
    this.#send(starting(NEGOTIATE));
  }

  /** For an existing session: only `join` is accepted, and replaces the current viewer. */
  #reopen(stream: MoonlightStream, init: StreamInit): void {
    if (init.mode === "create") return this.#refuse("AlreadyStreaming");
    if (init.mode === "keepalive") return this.#refuse();
    stream.viewer?.leave("ClientKicked");
    this.#stream = stream;
    this.#attach(stream, init);
    this.#sendConfig();
  }

  #attach(stream: MoonlightStream, { width, height }: StreamInit): void {
    stream.viewer = { leave: (reason) => this.#leave(reason) };
    let isConnected = false;
    this.#peer = this.#context.openPeer(stream.sessionId, {
      send: (signal) => this.#send({ Signaling: signal }),
      connected: () => {
        if (isConnected || this.#hasEnded) return;
        isConnected = true;
        for (const message of connectionStages()) this.#send(message);
        const capabilities = { touch: true };
        this.#send({ ConnectionComplete: { capabilities, width, height, client_id: null } });
        this.#peer?.addMedia();
      },
      lost: () => {
        this.#send("PeerDisconnect");
        this.#end(() => this.#socket.close());
      },
    });
  }

  #sendConfig(): void {
    const server = { urls: ["stun:stun.invalid:3478"], username: "", credential: "" };
    this.#send({ WebRtcConfig: { ice_servers: [server] } });
  }

  /** Another viewer has come, or the stream was cancelled: it is not this handler that ends it. */
  #leave(reason: object | string): void {
    this.#send(reason);
    this.#stream = undefined;
    this.#end(() => this.#socket.close());
  }

  /** Closes the socket instead of opening a stream, optionally after a message with the reason. */
  #refuse(reason?: string): void {
    if (reason !== undefined) this.#send(reason);
    this.#end(() => this.#socket.close());
  }

  /** @param then what becomes of the connection */
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
