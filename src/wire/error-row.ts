/** What an error code means on HTTP: the format of every layer's error table. */

/** Who caused it: this process (`local`), the other end of the tunnel or the target (`remote`), or the caller (`user`). */
export type Initiator = "local" | "remote" | "user";

export interface ErrorRow {
  /** HTTP status of the response. */
  status: number;
  /** `error` parameter of Proxy-Status (RFC 9209 §2.3). */
  proxyError: string;
  initiator: Initiator;
  /** Fixed sentence of the error body. It names nothing internal: no address, no path, no stack. */
  text: string;
  /** Default of `Retry-After`, in seconds. */
  retryAfterS?: number;
}
