/**
 * An HTTP/2 session on a socket that has read bytes before, and that ends before it gets them.
 *
 *     node test/traps/bytes-before-session.child.ts client|server [guarded]
 */
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { guardHttp2Session } from "../../src/wire/streams/end-stream.ts";

const [role, guard] = process.argv.slice(2);
const server = net.createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const client = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
client.on("error", () => {});
const [socket] = (await once(server, "connection")) as [Socket];
client.write("no HTTP/2 at all, in more than the preface's 24 bytes");
await once(socket, "readable");
const session =
  role === "client"
    ? http2.connect("http://agent", { createConnection: () => socket })
    : http2.performServerHandshake(socket);
session.on("error", () => {});
if (guard === "guarded") guardHttp2Session(session);
session.destroy();
client.destroy();
server.close();
