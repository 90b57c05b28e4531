/** One kind of Moonlight Web: what it serves, and who receives the frames of its WebSockets. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { BareSocket, Frame } from "./bare-socket.ts";
import type { Pairings } from "./pairing.ts";
import type { OpenPeer } from "./peer.ts";
import type { MoonlightState } from "./state.ts";

export interface FrameReceiver {
  receive(frame: Frame): void;
}

export interface Dialect {
  readonly pairings: Pairings;
  /** @throws BadRequest */
  serve(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** @returns the status that refuses the handshake, or what a socket of this path is given to */
  open(request: IncomingMessage, url: URL): number | ((socket: BareSocket) => FrameReceiver);
}

export interface DialectContext {
  state: MoonlightState;
  credentials: string;
  /** v2 and v3: the field in which a trusted proxy names the user. */
  usernameField: string | undefined;
  openPeer: OpenPeer;
  pairDelayMs: number;
}
