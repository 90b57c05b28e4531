/** RevDial's control connection: lines of JSON in the binary messages of a WebSocket, whose PINGs prove that the client lives. */
import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { toError } from "../../wire/errors.ts";
import { MAX_OUTSTANDING_PINGS } from "../../wire/limits.ts";
import { parseBoundedJson } from "../../wire/messages/bounded-json.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { LineSplitter } from "../../wire/streams/line-splitter.ts";
import { TokenBucket } from "../../wire/token-bucket.ts";
import { closeWebSocket } from "./close-websocket.ts";
import { CommandMessages } from "./command-messages.ts";
import {
  CONTROL_BYTES_BURST,
  CONTROL_BYTES_PER_S,
  CONTROL_FRAME_COST_BYTES,
  KEEP_ALIVE_MS,
  MAX_ERROR_LENGTH,
  MAX_INVALID_LINES,
  MAX_LINE_BYTES,
  MAX_UNREAD_COMMAND_BYTES,
} from "./limits.ts";

export interface ControlListener {
  /** The client could not pick up the dial with this path. */
  pickupFailed(path: string, reason: string): void;
  /** Called once, when the connection has closed. */
  closed(reason: string): void;
}

interface Ping {
  sentAtMs: number;
  onAcknowledged: (error: Error | null, durationMs: number) => void;
}

/** Registered code of a Close frame (RFC 6455 §7.4.1). */
const POLICY_VIOLATION = 1008;

export class ControlChannel {
  readonly #webSocket: WebSocket;
  readonly #socket: Duplex;
  readonly #listener: ControlListener;
  readonly #budget = new TokenBucket({ burst: CONTROL_BYTES_BURST, perS: CONTROL_BYTES_PER_S });
  readonly #lines = new LineSplitter(MAX_LINE_BYTES, {
    line: (text) => this.#takeLine(text),
    tooLong: () => this.#refuseLine(`a line of more than ${MAX_LINE_BYTES} bytes`),
  });
  readonly #messages = new CommandMessages({
    send: (message) => this.#webSocket.send(message),
    confirm: (done) => this.ping(() => this.isClosed || done()),
  });
  readonly #keepAlive: NodeJS.Timeout;
  /** Without a response yet, oldest first. */
  readonly #pings = new Map<number, Ping>();
  #lastPing = 0;
  #invalid = 0;
  #received = 0;
  #closeReason = "the client has closed its control connection";
  #hasClosed = false;

  /** @param socket the connection below the WebSocket */
  constructor(webSocket: WebSocket, socket: Duplex, listener: ControlListener) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    this.#listener = listener;
    const guard = new Guard((error) => this.end(error.message));
    webSocket.on("error", (error) => (this.#closeReason = error.message)); // permanent
    webSocket.on(
      "message",
      guard.wrap((data: Buffer, isBinary: boolean) => {
        if (!isBinary) return this.end("a text message");
        this.#received += data.length;
        this.#lines.push(data); // each line counts as well
        this.#spend(data.length);
      }),
    );
    webSocket.on(
      "ping",
      guard.wrap((data: Buffer) => this.#spend(data.length)),
    );
    webSocket.on(
      "pong",
      guard.wrap((data: Buffer) => this.#acknowledge(data)),
    );
    webSocket.once("close", () => this.#close());
    this.#keepAlive = setInterval(() => this.keepAlive(), KEEP_ALIVE_MS);
    this.#keepAlive.unref();
    this.keepAlive();
  }

  /** It carries no further commands. */
  get isClosed(): boolean {
    return this.#hasClosed || this.#webSocket.readyState !== this.#webSocket.OPEN;
  }

  get hasClosed(): boolean {
    return this.#hasClosed;
  }

  get receivedBytes(): number {
    const { bytesRead } = this.#socket as { bytesRead?: number };
    return bytesRead ?? this.#received;
  }

  keepAlive(): void {
    this.#send({ command: "keep-alive" });
  }

  /** The client is to connect to this path, for a dial. */
  announceDial(path: string): void {
    this.#send({ command: "conn-ready", connPath: path });
    this.keepAlive();
  }

  /** The client reads messages of any length: its commands need not wait for each other. */
  readsWholeMessages(): void {
    if (!this.isClosed) this.#messages.readsWholeMessages();
  }

  ping(onAcknowledged: Ping["onAcknowledged"]): void {
    if (this.isClosed || this.#pings.size >= MAX_OUTSTANDING_PINGS) {
      return onAcknowledged(new Error("no PING can be sent"), 0);
    }
    this.#lastPing += 1;
    this.#pings.set(this.#lastPing, { sentAtMs: performance.now(), onAcknowledged });
    this.#webSocket.ping(String(this.#lastPing));
  }

  /** Sends a Close frame. */
  close(code: number, reason: string): void {
    if (!this.isClosed) closeWebSocket(this.#webSocket, code, reason);
  }

  /** For a client that does not keep to the protocol. */
  end(reason: string): void {
    this.#closeReason = reason;
    this.close(POLICY_VIOLATION, reason);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }

  #send(command: Readonly<Record<string, string>>): void {
    if (this.isClosed) return;
    if (this.#webSocket.bufferedAmount + this.#messages.waitingBytes > MAX_UNREAD_COMMAND_BYTES) {
      this.#closeReason = "the client does not read its control connection";
      return this.terminate();
    }
    this.#messages.send(`${JSON.stringify(command)}\n`);
  }

  #spend(bytes: number): void {
    this.#received += 1; // any frame is a sign of life
    this.#budget.spend(bytes + CONTROL_FRAME_COST_BYTES);
    if (this.#budget.waitMs() > 0) this.end("it sends more than it may");
  }

  #takeLine(text: string): void {
    if (text === "" || this.isClosed) return;
    this.#budget.spend(CONTROL_FRAME_COST_BYTES);
    const { command, connPath, err } = this.#parse(text) ?? {};
    if (command !== "pickup-failed" || typeof connPath !== "string") return; // unknown commands are ignored
    const reason = typeof err === "string" ? err : "no reason given";
    this.#listener.pickupFailed(connPath, JSON.stringify(reason.slice(0, MAX_ERROR_LENGTH)));
  }

  #parse(text: string): Partial<Record<string, unknown>> | undefined {
    try {
      const value = parseBoundedJson(text);
      if (typeof value === "object" && value !== null) return value;
      this.#refuseLine("a line that is no object");
    } catch (error) {
      this.#refuseLine(`a line that is not JSON: ${toError(error).message}`);
    }
    return undefined;
  }

  #refuseLine(reason: string): void {
    this.#invalid += 1;
    if (this.#invalid >= MAX_INVALID_LINES) this.end(reason);
  }

  #acknowledge(data: Buffer): void {
    this.#spend(data.length);
    const id = Number(data.toString("latin1"));
    const acknowledged = this.#pings.get(id);
    if (acknowledged === undefined) return;
    const { sentAtMs, onAcknowledged } = acknowledged;
    for (const earlier of this.#pings.keys()) if (earlier <= id) this.#pings.delete(earlier);
    onAcknowledged(null, performance.now() - sentAtMs);
  }

  #close(): void {
    if (this.#hasClosed) return;
    this.#hasClosed = true;
    clearInterval(this.#keepAlive);
    const pings = [...this.#pings.values()];
    this.#pings.clear();
    for (const { onAcknowledged } of pings) onAcknowledged(new Error(this.#closeReason), 0);
    this.#listener.closed(this.#closeReason);
  }
}
