/** A TCP relay that passes on together what its client has written with short pauses: frames of one packet. */
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { closedAtTheEnd } from "./cleanup.ts";

/** Longer than a process that writes several frames is kept from the cores between two of them. */
const PAUSE_MS = 50;

export async function startBatchingRelay(port: number): Promise<AsyncDisposable & { port: number }> {
  const sockets = new Set<Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (client) => {
    const upstream = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy());
      socket.once("close", () => sockets.delete(socket));
    }
    upstream.pipe(client);
    passOnTogether(client, upstream);
  });
  server.listen(0, "127.0.0.1");
  const close = closedAtTheEnd(async () => {
    const closed = once(server, "close");
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  });
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: close };
}

function passOnTogether(client: Socket, upstream: Socket): void {
  let held: Buffer[] = [];
  let timer: NodeJS.Timeout | undefined;
  const pass = (): void => {
    clearTimeout(timer);
    if (held.length > 0) upstream.write(Buffer.concat(held));
    held = [];
  };
  client.on("data", (bytes: Buffer) => {
    held.push(bytes);
    clearTimeout(timer);
    timer = setTimeout(pass, PAUSE_MS);
  });
  client.once("end", () => {
    pass();
    upstream.end();
  });
  client.once("close", () => clearTimeout(timer));
}
