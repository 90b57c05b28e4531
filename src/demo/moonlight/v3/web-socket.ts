/**
 * v3's media over `WS /api/host/stream/web_socket`: a request and a response in text, then binary messages whose first byte is the
 * channel, and statistics. Any other first message ends the connection without a Close.
 */
import { OPCODE } from "../../../wire/websocket/frame-header.ts";
import type { BareSocket, Frame } from "../bare-socket.ts";
import { tagged } from "../fork/client-message.ts";
import { findHost } from "../state.ts";
import type { MoonlightState } from "../state.ts";

export const WEB_SOCKET_PATH = "/api/host/stream/web_socket";

/** First byte of a binary message. */
const CHANNEL = { video: 1, audio: 2 } as const;

export class MediaSocket {
  readonly #socket: BareSocket;
  readonly #state: MoonlightState;
  #isOpen = false;

  constructor(socket: BareSocket, state: MoonlightState) {
    this.#socket = socket;
    this.#state = state;
  }

  receive({ opcode, isWhole, payload }: Frame): void {
    if (opcode === OPCODE.ping || opcode === OPCODE.pong) return;
    const [tag, value] = opcode === OPCODE.text && isWhole ? tagged(payload.toString("utf8")) : [];
    if (opcode === OPCODE.close) this.#socket.end();
    else if (!this.#isOpen) this.#open(tag, value);
    else if (tag === "Stats") this.#measure(value);
  }

  #open(tag: string | undefined, value: unknown): void {
    const { host_id, app_id } = (tag === "Request" ? (value ?? {}) : {}) as Record<string, unknown>;
    const app = this.#state.apps.find((each) => each.app_id === app_id);
    if (findHost(this.#state, host_id)?.paired !== "Paired" || app === undefined) return this.#socket.end();
    this.#isOpen = true;
    this.#socket.sendText(JSON.stringify({ Response: { video_codec: "H264", app_name: app.title } }));
    // An IDR flag, and microseconds.
    this.#socket.sendBinary(Buffer.of(CHANNEL.video, 1, 0, 0, 0, 0));
    this.#socket.sendBinary(Buffer.of(CHANNEL.audio, 0));
  }

  #measure(stats: unknown): void {
    const { Ping: number } = (stats ?? {}) as { Ping?: unknown };
    if (number !== undefined) this.#socket.sendText(JSON.stringify({ Stats: { Pong: number } }));
  }
}
