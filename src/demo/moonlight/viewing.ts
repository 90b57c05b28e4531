/** What a handler of signalling has, in each dialect: a socket, at most one stream and its peer, and one end of all three. */
import type { BareSocket } from "./bare-socket.ts";
import type { OpenPeer, Peer } from "./peer.ts";
import { endStream } from "./state.ts";
import type { MoonlightState, MoonlightStream } from "./state.ts";

type Message = object | string;
type PeerEvents = Parameters<OpenPeer>[1];

export class Viewing {
  stream: MoonlightStream | undefined;
  peer: Peer | undefined;
  readonly #socket: BareSocket;
  readonly #state: MoonlightState;
  #hasEnded = false;

  constructor(socket: BareSocket, state: MoonlightState) {
    this.#socket = socket;
    this.#state = state;
  }

  send(message: Message): void {
    if (!this.#hasEnded) this.#socket.sendText(JSON.stringify(message));
  }

  /** @param connected called once, and not after the end */
  connect(
    openPeer: OpenPeer,
    { sessionId }: MoonlightStream,
    { send, connected, lost }: { send: PeerEvents["send"]; connected: () => void; lost: Message },
  ): void {
    let isConnected = false;
    this.peer = openPeer(sessionId, {
      send,
      connected: () => {
        if (isConnected || this.#hasEnded) return;
        isConnected = true;
        connected();
        this.peer?.addMedia();
      },
      lost: () => {
        this.send(lost);
        this.close();
      },
    });
  }

  /** Another viewer has come, or the stream was cancelled: it is not this handler that ends it. */
  leave(reason: Message): void {
    this.send(reason);
    this.stream = undefined;
    this.close();
  }

  /** With a Close frame. */
  close(): void {
    this.#end(() => this.#socket.close());
  }

  /** The caller has closed. */
  closed(): void {
    this.#end(() => this.#socket.end());
  }

  /** As a handler that has failed: the connection stays open and silent. */
  abandon(): void {
    this.#end(() => this.#socket.abandon());
  }

  /** @param then what becomes of the connection */
  #end(then: () => void): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.peer?.close();
    if (this.stream !== undefined) endStream(this.#state, this.stream);
    then();
  }
}
