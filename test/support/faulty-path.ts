/** A TCP path that can go wrong: it relays to one port, until a test makes it stall, cut, reset or half-close. */
import net from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { isShuttingDown } from "../../src/wire/streams/splice.ts";
import { closedAtTheEnd } from "./cleanup.ts";

export interface FaultyPath extends AsyncDisposable {
  /** Where to connect in place of the real port. */
  readonly port: number;
  /** Relayed connections that are open. */
  readonly connections: number;
  /** A black hole, both ways: nothing is read or passed on any more, neither bytes nor FIN nor RST. */
  stall(): void;
  /** From now on this many bytes a second at most towards that side, without a pause. */
  throttle(towards: "dialler" | "listener", bytesPerS: number): void;
  /** Ends a stall: what has piled up flows. */
  resume(): void;
  /** Closes both sides by FIN, whatever is in flight. */
  cut(): void;
  /** Closes both sides by RST. */
  reset(): void;
  /** FIN to one side only; the other stays connected and unread. */
  halfClose(towards: "dialler" | "listener"): void;
  close(): Promise<void>;
}

interface Link {
  dialler: Socket;
  listener: Socket;
}

/** While the FIN is on its way a reset fails with EINVAL, and node loses the open socket. */
function reset(socket: Socket): void {
  if (isShuttingDown(socket)) socket.destroy();
  else socket.resetAndDestroy();
}

export async function openFaultyPath(toPort: number): Promise<FaultyPath> {
  const links = new Set<Link>();
  const limits: Partial<Record<keyof Link, number>> = {};
  let stalled = false;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (dialler) => {
    const listener = net.connect({ port: toPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const link = { dialler, listener };
    links.add(link);
    join(dialler, listener, () => limits.listener);
    join(listener, dialler, () => limits.dialler);
  });

  function join(from: Socket, to: Socket, limit: () => number | undefined): void {
    let trickle: NodeJS.Timeout | undefined;
    const queue: Buffer[] = [];
    from.on("error", () => {}); // permanent; 'close' follows
    from.on("data", (chunk: Buffer) => {
      const bytesPerS = limit();
      if (bytesPerS !== undefined) return pour(chunk, Math.max(1, Math.floor(bytesPerS / 100)));
      if (!to.write(chunk)) from.pause();
    });
    /** A piece each 10 ms, as a slow line delivers it. */
    function pour(chunk: Buffer, piece: number): void {
      from.pause();
      queue.push(chunk);
      trickle ??= setInterval(() => {
        const [first] = queue;
        if (stalled || first === undefined) return;
        to.write(first.subarray(0, piece));
        if (first.length > piece) queue[0] = first.subarray(piece);
        else queue.shift();
        if (queue.length > 0) return;
        clearInterval(trickle);
        trickle = undefined;
        from.resume();
      }, 10);
    }
    from.once("close", () => clearInterval(trickle));
    to.once("close", () => clearInterval(trickle));
    to.on("drain", () => {
      if (!stalled && trickle === undefined) from.resume();
    });
    from.on("end", () => to.end());
    from.once("close", (hadError) => {
      if (from.destroyed && to.destroyed) forget(from);
      if (stalled) return;
      if (hadError) reset(to);
      else if (!from.readableEnded) to.destroy();
    });
    if (stalled) from.pause();
  }

  function forget(socket: Socket): void {
    for (const link of links) if (link.dialler === socket || link.listener === socket) links.delete(link);
  }

  function each(act: (link: Link) => void): void {
    for (const link of links) act(link);
  }

  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", resolve);
  await promise;

  const close = closedAtTheEnd(async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    each(({ dialler, listener }) => {
      dialler.destroy();
      listener.destroy();
    });
    await promise;
  });
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return links.size;
    },
    stall: () => {
      stalled = true;
      each(({ dialler, listener }) => {
        dialler.pause();
        listener.pause();
      });
    },
    throttle: (towards, bytesPerS) => (limits[towards] = bytesPerS),
    resume: () => {
      stalled = false;
      each(({ dialler, listener }) => {
        dialler.resume();
        listener.resume();
      });
    },
    cut: () => {
      each(({ dialler, listener }) => {
        dialler.destroy();
        listener.destroy();
      });
    },
    reset: () => {
      each(({ dialler, listener }) => {
        reset(dialler);
        reset(listener);
      });
    },
    halfClose: (towards) => each((link) => link[towards].end()),
    close,
    [Symbol.asyncDispose]: close,
  };
}
