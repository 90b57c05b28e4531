/** The first bytes of a connection, read until they say whose it is, and put back for whoever takes it. */
import type http from "node:http";
import type net from "node:net";
import { MAX_REQUEST_HEADER_BYTES, SNIFF_TIMEOUT_MS } from "../limits.ts";
import { escapeRequestTarget } from "./request-line-bytes.ts";

export interface Taker {
  /** What goes back into the socket. */
  bytes: Buffer;
  /** Takes the connection over. */
  take: () => void;
}

/** The caller has ended its half, or {@link SNIFF_TIMEOUT_MS} is over. */
export type Cut = "end" | "timeout";

/**
 * @param decide gets all bytes so far, at every arrival; undefined where more has to come
 * @param cut where nothing more will come, or not in time: who takes the connection then? It is destroyed if nobody does
 */
export function readFirstBytes(
  socket: net.Socket,
  decide: (seen: Buffer) => Taker | undefined,
  cut: (seen: Buffer, how: Cut) => Taker | undefined,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const give = ({ bytes, take }: Taker, how?: Cut) => {
    stop();
    if (how !== "end" && bytes.length > 0) socket.unshift(bytes);
    take();
  };
  const giveUp = (how: Cut) => {
    const taker = seen.length === 0 ? undefined : cut(seen, how);
    if (taker === undefined) socket.destroy();
    else give(taker, how);
  };
  const timer = setTimeout(() => giveUp("timeout"), SNIFF_TIMEOUT_MS);
  const onEnd = () => giveUp("end");
  const onReadable = () => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const taker = seen.length === 0 ? undefined : decide(seen);
    if (taker !== undefined) give(taker);
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

/** HTTP/1.1, once the first request line is complete. */
export function http1Taker(seen: Buffer, socket: net.Socket, h1: http.Server): Taker | undefined {
  const bytes = escapeRequestTarget(seen, MAX_REQUEST_HEADER_BYTES);
  return bytes === undefined ? undefined : { bytes, take: () => giveHttp1(socket, h1) };
}

/** HTTP/1.1 whose first request line does not become complete: the parser's to wait for, or an error. */
export function cutHttp1(seen: Buffer, how: Cut, socket: net.Socket, h1: http.Server): Taker {
  const unfinished = Object.assign(new Error("the request line has no end"), {
    code: "HPE_INVALID_EOF_STATE",
  });
  const take = () => {
    if (how === "timeout") giveHttp1(socket, h1);
    else h1.emit("clientError", unfinished, socket);
  };
  return { bytes: seen, take };
}

function giveHttp1(socket: net.Socket, h1: http.Server): void {
  h1.emit("connection", socket);
  socket.resume();
}
