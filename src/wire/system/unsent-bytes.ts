/**
 * The system takes up to 4 MiB (`net.ipv4.tcp_wmem`) for a connection whose peer does not read, in memory that all connections of
 * the host share: when some hundred are full of it, the kernel drops what others receive. It also looks as if the peer had
 * read that much. Linux can be told to take only as much as it is about to send.
 */
import { MAX_UNSENT_BYTES } from "../limits.ts";
import { nativeFunctions } from "./native-functions.ts";

/** From Linux's `netinet/tcp.h`. */
const IPPROTO_TCP = 6;
const TCP_NOTSENT_LOWAT = 25;

/**
 * For a listening socket: the connections that it accepts from now on inherit this.
 *
 * @param fd its descriptor
 * @returns false where the system does not offer it, or it cannot be set: `net.ipv4.tcp_notsent_lowat` then decides
 */
export function limitUnsentBytes(fd: number): boolean {
  if (process.platform !== "linux") return false;
  const functions = nativeFunctions(null, {
    setsockopt: { arguments: ["i32", "i32", "i32", "buffer", "u32"], return: "i32" },
  });
  if (functions === undefined) return false;
  const value = Int32Array.of(MAX_UNSENT_BYTES);
  return functions.setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value, value.byteLength) === 0;
}
