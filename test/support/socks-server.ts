/** A SOCKS proxy, versions 4, 4a and 5 with a user and password, as far as CONNECT needs it. */
import net from "node:net";
import type { Socket } from "node:net";
import { EventLog } from "./event-log.ts";
import { join, listen } from "./reverse-proxies.ts";

export interface SocksServer extends AsyncDisposable {
  readonly port: number;
  /** `socks5 cp.example:443 user:password`, for each request. */
  readonly requests: EventLog<string>;
}

export interface SocksServerOptions {
  /** `user:password`; without it everyone may pass. */
  login?: string;
  /** Where every connection really goes: names need no DNS then. */
  toPort: number;
  /** Reply of version 5, in place of a connection. */
  refuseWith?: number;
  /** Sent in place of every reply. */
  garbage?: Buffer;
}

export async function startSocksServer(options: SocksServerOptions): Promise<SocksServer> {
  const requests = new EventLog<string>();
  const server = net.createServer((socket) => {
    void serve(socket, options, requests).catch(() => socket.destroy());
  });
  return Object.assign(await listen(server), { requests });
}

async function serve(
  socket: Socket,
  { login, toPort, refuseWith, garbage }: SocksServerOptions,
  requests: EventLog<string>,
): Promise<void> {
  const read = reader(socket);
  const version = (await read(1)).readUInt8();
  if (garbage !== undefined) return void socket.end(garbage);
  const text = async (): Promise<string> => (await read((await read(1)).readUInt8())).toString("latin1");
  const open = (reply: Buffer): void => {
    const upstream = net.connect(toPort, "127.0.0.1", () => {
      socket.write(reply);
      join(socket, upstream);
    });
  };
  if (version === 4) {
    const head = await read(7);
    const untilZero = async (): Promise<string> => {
      let all = "";
      for (let byte = await read(1); byte[0] !== 0; byte = await read(1)) all += byte.toString("latin1");
      return all;
    };
    const user = await untilZero();
    const isName = head.readUInt32BE(3) === 1;
    const host = isName ? await untilZero() : [...head.subarray(3)].join(".");
    requests.push(`${isName ? "socks4a" : "socks4"} ${host}:${head.readUInt16BE(1)} ${user}`);
    return open(Buffer.from([0, 90, 0, 0, 0, 0, 0, 0]));
  }
  await read((await read(1)).readUInt8());
  socket.write(Buffer.from([5, login === undefined ? 0 : 2]));
  let credentials = "";
  if (login !== undefined) {
    await read(1);
    credentials = `${await text()}:${await text()}`;
    socket.write(Buffer.from([1, credentials === login ? 0 : 1]));
    if (credentials !== login) return void socket.end();
  }
  const kind = (await read(4)).readUInt8(3);
  const host =
    kind === 3 ? await text() : [...(await read(kind === 1 ? 4 : 16))].join(kind === 1 ? "." : ",");
  requests.push(`socks5 ${host}:${(await read(2)).readUInt16BE()} ${credentials}`);
  const reply = Buffer.from([5, refuseWith ?? 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  if (refuseWith === undefined) open(reply);
  else socket.end(reply);
}

/** Bytes in the pieces that are requested; nothing is read ahead. */
function reader(socket: Socket): (bytes: number) => Promise<Buffer> {
  return async (bytes) => {
    for (;;) {
      const chunk = (bytes === 0 ? Buffer.alloc(0) : socket.read(bytes)) as Buffer | null;
      if (chunk !== null) return chunk;
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const onClose = () => reject(new Error("closed"));
      socket.once("readable", resolve).once("close", onClose);
      await promise;
      socket.off("readable", resolve).off("close", onClose);
    }
  };
}
