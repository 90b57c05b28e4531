/** A TCP listener on a free port of 127.0.0.1. */
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";

export async function listen(onConnection: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  });
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4_096 });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
