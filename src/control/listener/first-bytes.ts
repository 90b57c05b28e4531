/** Reads the first bytes of a connection until they show its protocol, and puts them back for that protocol's server. */
import type http from "node:http";
import type net from "node:net";
import { GrowingBuffer } from "../../wire/streams/growing-buffer.ts";
import { REQUEST_PIECE_BYTES } from "../connections/limits.ts";
import { MAX_REQUEST_HEADER_BYTES, SNIFF_TIMEOUT_MS } from "../limits.ts";
import { RequestLine } from "./request-line-bytes.ts";

export interface Handover {
  /** Put back into the socket. */
  bytes: Buffer;
  /** In pieces of this size, which are emitted one by one. Default: whole. */
  pieceBytes?: number | undefined;
  /** Takes the connection over. */
  accept: () => void;
}

/** The peer has ended its half, or {@link SNIFF_TIMEOUT_MS} has passed. */
export type UndecidedReason = "end" | "timeout";

/**
 * @param decide called with all bytes so far, whenever some arrive; undefined: more bytes are needed. What it does for each
 * call must not depend on how many have come before: a peer may send them one by one
 * @param onUndecided called when no more bytes come, or not in time; undefined: the connection is destroyed
 */
export function readFirstBytes(
  socket: net.Socket,
  decide: (seen: Buffer) => Handover | undefined,
  onUndecided: (seen: Buffer, reason: UndecidedReason) => Handover | undefined,
): void {
  let seen = new GrowingBuffer();
  const handOver = ({ bytes, pieceBytes = Infinity, accept }: Handover, reason?: UndecidedReason) => {
    stop();
    if (reason !== "end") putBack(socket, bytes, pieceBytes);
    accept();
  };
  const giveUp = (reason: UndecidedReason) => {
    const handover = seen.length === 0 ? undefined : onUndecided(seen.view(), reason);
    if (handover === undefined) socket.destroy();
    else handOver(handover, reason);
  };
  const timer = setTimeout(() => giveUp("timeout"), SNIFF_TIMEOUT_MS);
  const onEnd = () => giveUp("end");
  const onReadable = () => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
      if (seen.length === 0) seen = new GrowingBuffer(chunk);
      else seen.append(chunk);
    }
    const handover = seen.length === 0 ? undefined : decide(seen.view());
    if (handover !== undefined) handOver(handover);
  };
  const stop = () => {
    clearTimeout(timer);
    socket.off("readable", onReadable);
    socket.off("end", onEnd);
    socket.off("close", stop);
  };
  socket.on("readable", onReadable);
  socket.on("end", onEnd);
  socket.on("close", stop);
}

/** From the back, because `unshift()` puts each piece before those in the buffer. */
function putBack(socket: net.Socket, bytes: Buffer, pieceBytes: number): void {
  for (let end = bytes.length; end > 0;) {
    const at = Math.max(0, end - pieceBytes);
    socket.unshift(bytes.subarray(at, end));
    end = at;
  }
}

/** To the HTTP/1.1 server, once the first request line is complete. */
export function http1Handover(socket: net.Socket, h1: http.Server): (seen: Buffer) => Handover | undefined {
  const line = new RequestLine();
  const accept = (): void => acceptHttp1(socket, h1);
  return (seen) => {
    const bytes = line.escape(seen, MAX_REQUEST_HEADER_BYTES);
    return bytes === undefined ? undefined : { bytes, pieceBytes: REQUEST_PIECE_BYTES, accept };
  };
}

/** For an incomplete first request line: after a timeout the parser waits for the rest; after a FIN it is an error. */
export function unfinishedHttp1Handover(
  seen: Buffer,
  reason: UndecidedReason,
  socket: net.Socket,
  h1: http.Server,
): Handover {
  const unfinished = Object.assign(new Error("the connection ended within the request line"), {
    code: "HPE_INVALID_EOF_STATE",
  });
  const accept = () => {
    if (reason === "timeout") acceptHttp1(socket, h1);
    else h1.emit("clientError", unfinished, socket);
  };
  return { bytes: seen, pieceBytes: REQUEST_PIECE_BYTES, accept };
}

function acceptHttp1(socket: net.Socket, h1: http.Server): void {
  h1.emit("connection", socket);
  socket.resume();
}
