/**
 * Reading a target's response after its reset. A target (or a RevDial client for one) that responds before it has read the whole request, and closes,
 * resets the connection under our writes. node destroys a socket at its first failed write, and with it the response that
 * waits unread in the kernel. Here failed writes are dropped instead, and the socket is still read for a while.
 */
import type { Socket } from "node:net";
import { errorCodeOf } from "../errors.ts";
import { READ_AFTER_RESET_MS } from "../limits.ts";

type Done = (error?: Error | null) => void;

export function readAfterReset(socket: Socket): void {
  let failure: Error | undefined;
  const guard =
    (done: Done): Done =>
    (error) => {
      const code = errorCodeOf(error);
      if (!(error instanceof Error) || (code !== "EPIPE" && code !== "ECONNRESET")) return done(error);
      if (failure === undefined) {
        failure = error;
        // Reading usually ends it sooner, by the reset itself. The timer is for a target that only stopped reading.
        const timer = setTimeout(() => socket.destroy(error), READ_AFTER_RESET_MS);
        socket.once("close", () => clearTimeout(timer));
      }
      done();
    };
  const write = socket._write.bind(socket);
  const guardedWrite: typeof socket._write = (chunk, encoding, done) => {
    if (failure === undefined) write(chunk, encoding, guard(done));
    else done();
  };
  socket._write = guardedWrite;
  const writev = socket._writev?.bind(socket);
  if (writev === undefined) return;
  const guardedWritev: typeof writev = (chunks, done) => {
    if (failure === undefined) writev(chunks, guard(done));
    else done();
  };
  socket._writev = guardedWritev;
}
