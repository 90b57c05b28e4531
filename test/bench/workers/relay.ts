/** One hop of the baseline: a plain TCP relay, as short as node allows. */
import net from "node:net";
import { listen } from "./listen.ts";
import { serve } from "./serve.ts";

export interface RelayCalls {
  /** Relays a new port to `upstream`, on 127.0.0.1. */
  forward(upstream: number): Promise<number>;
}

serve({
  forward: (upstream) =>
    listen((downstream) => {
      const socket = net.connect({ host: "127.0.0.1", port: upstream, noDelay: true, allowHalfOpen: true });
      socket.on("error", () => downstream.destroy());
      downstream.on("error", () => socket.destroy());
      downstream.on("close", () => socket.destroy());
      socket.on("close", () => downstream.destroy());
      downstream.pipe(socket);
      socket.pipe(downstream);
    }),
} satisfies RelayCalls);
