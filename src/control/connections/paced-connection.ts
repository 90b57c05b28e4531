/**
 * One HTTP/1.1 connection of a caller. Pipelined requests (RFC 9112 §9.3.2) are served one after the other, in turns with
 * other connections. Input is parsed in pieces: while too many requests wait for their turn, and when the pieces of one turn
 * of the event loop have taken too long (chunks of one byte, for example), the rest stays in the socket, and TCP's flow
 * control reaches the caller.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import {
  BACKLOG_POLL_MS,
  BODY_PIECE_BYTES,
  CHEAP_PIECE_MS,
  COSTLY_PIECE_MS,
  INPUT_TURN_MS,
  INPUT_WINDOW_MS,
  MAX_PIPELINED_REQUESTS,
  MIN_BODY_PIECE_BYTES,
  REQUEST_PIECE_BYTES,
} from "./limits.ts";
import type { Turns } from "./turns.ts";

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** Undefined once it has been called. */
  serve: (() => void) | undefined;
}

export class PacedConnection {
  readonly #socket: Socket;
  readonly #turns: Turns;
  /** In order; the first is being served. */
  readonly #open: Exchange[] = [];
  readonly #push: Socket["push"];
  readonly #pause: () => void;
  readonly #resume: () => void;
  #bodyPieceBytes = REQUEST_PIECE_BYTES;
  #startedAt = 0;
  #windowStartedAt = 0;
  #spentMs = 0;
  #isUsed = false;
  /** A request has begun in this piece. */
  #hasBegun = false;
  #isOverTurn = false;
  #isHeld = false;
  #isPausedByNode = false;
  #isReleased = false;
  /** Pieces are measured by listeners. Until one is not emitted at once, this costs less. */
  #hasListeners = false;

  /** @param socket node's HTTP/1.1 server has just taken it over */
  constructor(socket: Socket, turns: Turns) {
    this.#socket = socket;
    this.#turns = turns;
    this.#push = socket.push.bind(socket);
    this.#pause = socket.pause.bind(socket);
    this.#resume = socket.resume.bind(socket);
    const push = (chunk: unknown, encoding?: BufferEncoding): boolean => this.#pushPieces(chunk, encoding);
    // node pauses a socket whose caller does not read responses, and resumes it for every request that is read.
    const pause = (): Socket => {
      this.#isPausedByNode = true;
      this.#pause();
      return socket;
    };
    const resume = (): Socket => {
      this.#isPausedByNode = false;
      if (!this.#isHeld) this.#resume();
      return socket;
    };
    socket.push = push;
    socket.pause = pause;
    socket.resume = resume;
    // With a listener node parses what the socket emits from now on, and not the bytes of its handle.
    socket.on("data", ignore).off("data", ignore);
    // The first bytes have been put back in pieces.
    if (socket.readableLength > REQUEST_PIECE_BYTES) this.#measureByListeners();
  }

  /** A request has come. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** Serves a request when the responses before it have ended. */
  add(request: IncomingMessage, response: ServerResponse, serve: () => void): void {
    const exchange: Exchange = { request, response, serve };
    this.#isUsed = true;
    this.#hasBegun = true;
    this.#open.push(exchange);
    response.once("close", () => this.#remove(exchange));
    if (this.#open.length === 1) this.#turns.run(this.#socket, () => start(exchange));
    else this.#update();
  }

  /** The socket becomes a tunnel: from now on its bytes pass as they come. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    if (this.#hasListeners) this.#socket.off("data", this.#beforePiece).off("data", this.#afterPiece);
    // Not deleted: V8 would keep all properties of the socket in a hash table from then on.
    Object.assign(this.#socket, { push: this.#push, pause: this.#pause, resume: this.#resume });
  }

  #remove(exchange: Exchange): void {
    const at = this.#open.indexOf(exchange);
    this.#open.splice(at, 1);
    const [next] = this.#open;
    if (at === 0 && next !== undefined) this.#turns.later(this.#socket, () => start(next));
    this.#update();
  }

  #pushPieces(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (!Buffer.isBuffer(chunk)) return this.#push(chunk, encoding);
    if (chunk.length <= this.#pieceBytes) return this.#pushPiece(chunk);
    let hasRoom = true;
    for (let at = 0; at < chunk.length && !this.#socket.destroyed;) {
      const end = at + this.#pieceBytes;
      hasRoom = this.#pushPiece(chunk.subarray(at, end));
      at = end;
    }
    return hasRoom;
  }

  #pushPiece(piece: Buffer): boolean {
    if (this.#hasListeners || this.#isReleased) return this.#push(piece);
    // A socket that flows emits it at once. Otherwise it is emitted later, which only listeners see.
    if (!this.#socket.readableFlowing || this.#socket.readableLength > 0) {
      this.#measureByListeners();
      return this.#push(piece);
    }
    this.#beforePiece();
    const hasRoom = this.#push(piece);
    this.#afterPiece();
    return hasRoom;
  }

  /** Around node's own listener. */
  #measureByListeners(): void {
    this.#hasListeners = true;
    this.#socket.prependListener("data", this.#beforePiece);
    this.#socket.on("data", this.#afterPiece);
  }

  get #pieceBytes(): number {
    if (this.#isReleased) return Infinity;
    const isBody = this.#open.at(-1)?.request.complete === false;
    return isBody ? this.#bodyPieceBytes : REQUEST_PIECE_BYTES;
  }

  readonly #beforePiece = (): void => {
    this.#startedAt = performance.now();
  };

  readonly #afterPiece = (): void => {
    if (this.#isReleased) return;
    const ms = performance.now() - this.#startedAt;
    if (!this.#hasBegun) this.#adaptPieces(ms); // otherwise it was a request's own work
    this.#hasBegun = false;
    if (this.#startedAt - this.#windowStartedAt > INPUT_WINDOW_MS) {
      this.#windowStartedAt = this.#startedAt;
      this.#spentMs = 0;
    }
    this.#spentMs += ms;
    const isTurnOver = this.#turns.spendInput(ms);
    if (this.#isOverTurn || (this.#spentMs < INPUT_TURN_MS && !isTurnOver && !this.#hasBacklog)) return;
    this.#isOverTurn = true;
    this.#update();
    this.#waitForTurn();
  };

  #adaptPieces(ms: number): void {
    if (ms < CHEAP_PIECE_MS) this.#bodyPieceBytes = Math.min(this.#bodyPieceBytes * 2, BODY_PIECE_BYTES);
    else if (ms > COSTLY_PIECE_MS) {
      this.#bodyPieceBytes = Math.max(this.#bodyPieceBytes / 4, MIN_BODY_PIECE_BYTES);
    }
  }

  #waitForTurn(): void {
    this.#turns.laterInput(() => {
      if (this.#socket.destroyed) return;
      if (this.#hasBacklog) return void setTimeout(() => this.#waitForTurn(), BACKLOG_POLL_MS).unref();
      this.#isOverTurn = false;
      this.#spentMs = 0;
      this.#update();
    });
  }

  /** Chunks of a few bytes that no one has read: node keeps an object of 200 bytes for each. */
  get #hasBacklog(): boolean {
    if (this.#bodyPieceBytes >= REQUEST_PIECE_BYTES) return false;
    const request = this.#open.at(-1)?.request;
    return request?.complete === false && request.readableLength > 0;
  }

  /** Holds the input back, or lets it go on. */
  #update(): void {
    if (this.#isReleased) return;
    const isHeld = this.#isOverTurn || this.#open.length > MAX_PIPELINED_REQUESTS;
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) this.#pause();
    else if (!this.#isPausedByNode && !this.#socket.destroyed) this.#resume();
  }
}

function ignore(): void {}

/** Unless it has been refused meanwhile, or its caller has left. */
function start(exchange: Exchange): void {
  const { request, response, serve } = exchange;
  exchange.serve = undefined;
  if (response.destroyed || response.headersSent || request.socket.destroyed) return;
  serve?.();
}
