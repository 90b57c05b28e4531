/** The raw target of the table: it notes every byte of a request and responds as the present case requires. */
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { startTarget } from "../support/target.ts";
import type { TestTarget } from "../support/target.ts";

export interface Seen {
  /** Request line and fields, as they came. */
  head: string;
  /** What has come behind the head so far. */
  body: string;
  socket: Socket;
  /** Which connection it came on, counted from 1. */
  connection: number;
  /** The connection has been closed or reset. */
  isGone: boolean;
}

/** Bytes in latin1, or whatever it does with the socket. */
export type TargetResponse = string | ((seen: Seen) => void);

export interface TableTarget extends TestTarget {
  /** Requests of the present case. */
  readonly seen: Seen[];
  /** Begins a case. @param early responds at the head, without waiting for the body */
  expect(response: TargetResponse, early?: boolean): void;
}

export async function startTableTarget(): Promise<TableTarget> {
  const seen: Seen[] = [];
  let response: TargetResponse = "";
  let isEarly = false;
  let connections = 0;
  const target = await startTarget((socket) => {
    connections += 1;
    const connection = connections;
    let present: Seen | undefined;
    let hasResponded = false;
    let bytes = "";
    socket.on("close", () => present !== undefined && (present.isGone = true));
    socket.on("end", () => {
      if (present !== undefined) present.isGone = true;
      socket.end();
    });
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.toString("latin1");
      for (;;) {
        if (present === undefined || hasResponded) {
          if (hasResponded && present !== undefined && !isComplete(present)) {
            present.body += bytes;
            bytes = "";
            return;
          }
          const end = bytes.indexOf("\r\n\r\n");
          if (end < 0) return;
          present = { head: bytes.slice(0, end), body: "", socket, connection, isGone: false };
          seen.push(present);
          bytes = bytes.slice(end + 4);
          hasResponded = false;
        }
        present.body += bytes;
        bytes = "";
        if (!isEarly && !isComplete(present)) return;
        hasResponded = true;
        if (typeof response === "string") socket.write(response, "latin1");
        else response(present);
        return;
      }
    });
  });
  return Object.assign(target, {
    seen,
    expect: (given: TargetResponse, early = false) => {
      seen.length = 0;
      response = given;
      isEarly = early;
    },
  });
}

function isComplete({ head, body }: Seen): boolean {
  if (/^transfer-encoding:.*chunked/im.test(head))
    return /(?:^|\r\n)0(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(body);
  return body.length >= Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? "0");
}

/** RFC 6455 §4.2.2. */
export function acceptKey(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** All values of a field at the target, or undefined. */
export function fieldOf(seen: Seen | undefined, name: string): string | undefined {
  const values = (seen?.head ?? "")
    .split("\r\n")
    .slice(1)
    .filter((line) => line.toLowerCase().startsWith(`${name}:`))
    .map((line) => line.slice(name.length + 1).trim());
  return values.length === 0 ? undefined : values.join(" + ");
}
