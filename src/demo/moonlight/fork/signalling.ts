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
import type { OpenPeer } from "../peer.ts";
import { addStream, findHost } from "../state.ts";
import type { MoonlightState, MoonlightStream } from "../state.ts";
import { Viewing } from "../viewing.ts";
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
  readonly #viewing: Viewing;
  readonly #context: SignallingContext;

  constructor(socket: BareSocket, context: SignallingContext) {
    this.#viewing = new Viewing(socket, context.state);
    this.#context = context;
  }

  receive({ opcode, isWhole, isMasked, payload }: Frame): void {
    const viewing = this.#viewing;
    if (opcode === OPCODE.close) return viewing.closed();
    const isControl = opcode === OPCODE.ping || opcode === OPCODE.pong;
    if (isControl && isWhole && isMasked && viewing.stream === undefined) return;
    const isText = opcode === OPCODE.text && isWhole && isMasked;
    const message = isText ? parseClientMessage(payload.toString("utf8")) : undefined;
    if (message === undefined) viewing.abandon();
    else if (message.tag === "Signaling" && viewing.stream !== undefined)
      viewing.peer?.receive(message.signal);
    else if (message.tag === "AuthenticateAndInit" && viewing.stream === undefined) this.#open(message.init);
    else viewing.close();
  }

  #open(init: StreamInit): void {
    const { state, credentials } = this.#context;
    if (!sameSecret(init.credentials ?? "", credentials)) {
      this.#viewing.send({ StageFailed: { stage: "Authentication", error_code: -1 } });
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
    this.#viewing.stream = stream;
    this.#viewing.send({ UpdateApp: { app } });
    this.#viewing.send(starting(LAUNCH));
    // The streamer runs; without a viewer nothing more is to be said.
    if (mode === "keepalive") {
      stream.keeper = this.#viewing;
      return;
    }
    this.#attach(stream, init);
    this.#viewing.send(complete(LAUNCH));
    this.#viewing.send(starting(SET_UP_PEER));
    this.#sendConfig();
    this.#viewing.send(complete(SET_UP_PEER));
    this.#viewing.send(starting(NEGOTIATE));
  }

  /** For an existing session: only `join` is accepted, and replaces the current viewer. */
  #reopen(stream: MoonlightStream, init: StreamInit): void {
    if (init.mode === "create") return this.#refuse("AlreadyStreaming");
    if (init.mode === "keepalive") return this.#refuse();
    stream.viewer?.leave("ClientKicked");
    this.#viewing.stream = stream;
    this.#attach(stream, init);
    this.#sendConfig();
  }

  #attach(stream: MoonlightStream, { width, height }: StreamInit): void {
    const viewing = this.#viewing;
    stream.viewer = viewing;
    viewing.connect(this.#context.openPeer, stream, {
      send: (signal) => viewing.send({ Signaling: signal }),
      connected: () => {
        for (const message of connectionStages()) viewing.send(message);
        const capabilities = { touch: true };
        viewing.send({ ConnectionComplete: { capabilities, width, height, client_id: null } });
      },
      lost: "PeerDisconnect",
    });
  }

  #sendConfig(): void {
    const server = { urls: ["stun:stun.invalid:3478"], username: "", credential: "" };
    this.#viewing.send({ WebRtcConfig: { ice_servers: [server] } });
  }

  /** Closes the socket instead of opening a stream, optionally after a message with the reason. */
  #refuse(reason?: string): void {
    if (reason !== undefined) this.#viewing.send(reason);
    this.#viewing.close();
  }
}
