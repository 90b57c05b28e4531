/** How the generator reaches a target: straight to a port (the relay's), or by CONNECT through the control plane. */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { ADMIN_TOKEN, RUNNER } from "../names.ts";

export interface Route {
  port: number;
  /** Name of the target to CONNECT to; absent for a plain connection. */
  connectTo?: string;
  /** The port speaks TLS. Its certificate is not checked. */
  secure?: boolean;
}

const HEADER_END = Buffer.from("\r\n\r\n");

/** @throws Error if the CONNECT is refused */
export async function openRoute({ port, connectTo, secure = false }: Route): Promise<net.Socket> {
  const plain = net.connect({ host: "127.0.0.1", port, noDelay: true });
  await once(plain, "connect");
  const socket = secure ? tls.connect({ socket: plain, rejectUnauthorized: false }) : plain;
  if (secure) await once(socket, "secureConnect");
  if (connectTo === undefined) return socket;
  const authority = `${connectTo}.${RUNNER}:80`;
  socket.write(
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`,
  );
  let head = Buffer.alloc(0);
  while (!head.includes(HEADER_END)) {
    await once(socket, "readable");
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) head = Buffer.concat([head, chunk]);
  }
  const end = head.indexOf(HEADER_END) + HEADER_END.length;
  const status = head.toString("latin1", 0, head.indexOf("\r\n"));
  if (!status.startsWith("HTTP/1.1 200")) throw new Error(`CONNECT ${authority}: ${status}`);
  if (head.length > end) socket.unshift(head.subarray(end));
  return socket;
}
