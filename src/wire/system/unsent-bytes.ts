/**
 * The system takes up to 4 MiB (`net.ipv4.tcp_wmem`) for a connection whose peer does not read, in memory that all connections of
 * the host share: when some hundred are full of it, the kernel drops what others receive. It also looks as if the peer had
 * read that much, and on a slow path what is sent later waits behind it. Linux can be told to take only as much as it is about to send.
 */
import type { Server, Socket } from "node:net";
import { MAX_UNSENT_BYTES } from "../limits.ts";
import { nativeFunctions } from "./native-functions.ts";

/** From Linux's `netinet/tcp.h`. */
const IPPROTO_TCP = 6;
const TCP_NOTSENT_LOWAT = 25;

type SetSocketOption = (fd: number, level: number, name: number, value: Int32Array, length: number) => number;

/** Once it was looked for, with the first socket. */
let loaded: { setsockopt: SetSocketOption | undefined } | undefined;

function load(): { setsockopt: SetSocketOption | undefined } {
  if (process.platform !== "linux") return { setsockopt: undefined };
  const functions = nativeFunctions(null, {
    setsockopt: { arguments: ["i32", "i32", "i32", "buffer", "u32"], return: "i32" },
  });
  return { setsockopt: functions?.setsockopt };
}

/**
 * For a connected socket; or for a listening one: the connections that it accepts from now on inherit this.
 *
 * @returns false where the system does not offer it, or it cannot be set (a Unix socket): `net.ipv4.tcp_notsent_lowat` then decides
 */
export function limitUnsentBytes(socket: Server | Socket): boolean {
  const fd = descriptorOf(socket);
  if (fd === undefined) return false;
  loaded ??= load();
  const { setsockopt } = loaded;
  if (setsockopt === undefined) return false;
  const value = Int32Array.of(MAX_UNSENT_BYTES);
  return setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value, value.byteLength) === 0;
}

/** The descriptor of a socket that is open: node does not document it. */
export function descriptorOf(socket: Server | Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  const fd: unknown = typeof handle === "object" && handle !== null ? Reflect.get(handle, "fd") : undefined;
  return typeof fd === "number" && fd >= 0 ? fd : undefined;
}
