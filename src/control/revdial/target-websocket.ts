/** The handshake of a WebSocket with a RevDial client's target: HTTP/1.1 in a stream of bytes, up to the target's response. */
import { randomBytes } from "node:crypto";
import http from "node:http";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";
import { endToEndHeaders, isPlainlyChunked } from "../../wire/fields/http-fields.ts";
import { Guard } from "../../wire/streams/guard.ts";
import { acceptKey } from "../../wire/websocket/websocket-frames.ts";
import { MAX_INFORMATIONAL_RESPONSES, MAX_RESPONSE_HEADER_BYTES } from "../limits.ts";
import type { WebSocketRequest, WebSocketResponse } from "../tunnels/tunnel.ts";
import type { DialSocket } from "./dial-socket.ts";

/** Resolves to the target's own response; anything else destroys the socket. */
export async function openTargetWebSocket(
  socket: DialSocket,
  { path, fields, timeoutMs }: WebSocketRequest,
): Promise<WebSocketResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<WebSocketResponse>();
  const fail = (error: Error): void => {
    reject(error);
    socket.destroy(error);
  };
  const invalid = (what: string): void =>
    fail(new TurnaboutError("target_protocol", `WebSocket ${socket.label}: ${what}`));
  /** Around everything that runs on the target's data. */
  const guard = new Guard((error) => invalid(error.message));
  const timer = setTimeout(() => {
    fail(new TurnaboutError("response_timeout", `WebSocket handshake: no response within ${timeoutMs} ms`));
  }, timeoutMs);
  // Before node's listener: the reason is this one's.
  socket.once("error", (error) => reject(error));
  socket.once("close", () => reject(closed(socket)));
  const key = randomBytes(16).toString("base64");
  const request = http.request({
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    createConnection: () => socket,
    method: "GET",
    path,
    setHost: false,
    headers: handshakeFields(fields, key),
  });
  let informational = 0;
  request.on(
    "information",
    guard.wrap(() => {
      informational += 1;
      if (informational > MAX_INFORMATIONAL_RESPONSES) invalid("too many informational responses");
    }),
  );
  request.on("error", (cause) => {
    if (errorCodeOf(cause)?.startsWith("HPE_") === true) invalid(cause.message);
    else fail(cause instanceof TurnaboutError ? cause : closed(socket, cause));
  });
  request.on(
    "upgrade",
    guard.wrap((response: IncomingMessage, upgraded: Duplex, head: Buffer) => {
      // RFC 6455 §4.1: a client fails the connection where either is wrong.
      const isWebSocket = response.headers.upgrade?.trim().toLowerCase() === "websocket";
      const { "sec-websocket-accept": accept, ...headers } = endToEndHeaders(response.headers);
      if (!isWebSocket || accept !== acceptKey(key)) return invalid("its handshake is not valid");
      if (head.length > 0) upgraded.unshift(head); // first frames may share a packet with the 101
      resolve({ stream: upgraded, isOpen: true, status: 200, headers });
    }),
  );
  request.on(
    "response",
    guard.wrap((response: IncomingMessage) => {
      const status = response.statusCode ?? 0;
      const coding = response.headers["transfer-encoding"];
      const hasFaultyFraming = response.httpVersion === "1.0" && coding !== undefined; // RFC 9112 §6.1
      // HTTP/2 callers cannot get a status above 599.
      if (status < 200 || status > 599 || hasFaultyFraming || !isPlainlyChunked(coding)) {
        return invalid(`its response (${status}) is not valid`);
      }
      const stream = new RefusalBody(response, socket);
      resolve({ stream, isOpen: false, status, headers: endToEndHeaders(response.headers) });
    }),
  );
  request.end();
  try {
    return await promise;
  } catch (error) {
    request.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function closed({ label }: DialSocket, cause?: Error): TurnaboutError {
  return new TurnaboutError("target_closed", `WebSocket ${label}: closed without a response`, { cause });
}

function handshakeFields(fields: readonly string[], key: string): Record<string, string | string[]> {
  const record: Record<string, string | string[]> = { "sec-websocket-version": "13" };
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    const known = name === "sec-websocket-version" ? undefined : record[name];
    record[name] = known === undefined ? value : [known, value].flat();
  }
  return { ...record, connection: "Upgrade", upgrade: "websocket", "sec-websocket-key": key };
}

/** The body of the target's refusal. What is written to it is dropped. */
class RefusalBody extends Duplex {
  readonly #response: IncomingMessage;
  readonly #socket: DialSocket;

  constructor(response: IncomingMessage, socket: DialSocket) {
    super();
    this.#response = response;
    this.#socket = socket;
    response.on("data", (bytes: Buffer) => {
      if (!this.push(bytes)) response.pause();
    });
    response.pause();
    response.once("end", () => this.push(null));
    response.on("error", (error) => this.destroy(error)); // permanent
    response.once("close", () => {
      // A reset too looks like the end of a body that the connection's end delimits.
      if (!response.complete)
        this.destroy(toError(socket.errored ?? new Error("the response is incomplete")));
    });
  }

  override _read(): void {
    this.#response.resume();
  }

  override _write(_bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
