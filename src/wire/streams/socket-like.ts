/** What http.Agent, undici and dockerode read and call on a socket, for a stream that has none of its own to configure. */
import { Duplex } from "node:stream";

export abstract class SocketLike extends Duplex {
  readonly connecting = false;
  readonly remoteAddress = undefined;

  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}
