/** A PROXY header counts for the bound on new connections as soon as it is read. */
import assert from "node:assert/strict";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, it } from "node:test";
import { closedAtTheEnd } from "../../../test/support/cleanup.ts";
import { next } from "../../../test/support/events.ts";
import { assertNothingOpen } from "../../../test/support/nothing-open.ts";
import { exchangeRaw } from "../../../test/support/raw-http.ts";
import { silentLogger } from "../../wire/log.ts";
import { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";
import { sniff } from "./sniff.ts";

afterEach(() => assertNothingOpen());

it("counts a connection for the client that a trusted proxy names, and any other as it is", async () => {
  const trustedProxies = new TrustedProxies({ trustedProxies: ["127.0.0.1"], proxyProtocol: "allow" });
  const named: string[] = [];
  const connections = { belongsTo: (_socket: net.Socket, address: string) => void named.push(address) };
  const h1 = http.createServer((_request, response) => void response.end());
  const servers = { h1, h2: http2.createServer(), secure: undefined };
  const context = { trustedProxies, connections, log: silentLogger };
  const server = net.createServer({ allowHalfOpen: true }, (socket) => sniff(socket, servers, context));
  const closed = next(server, "close");
  closedAtTheEnd(async () => void server.close());
  await next(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  for (const header of ["PROXY TCP4 192.0.2.7 192.0.2.1 1 80\r\n", "PROXY UNKNOWN\r\n", ""]) {
    assert.deepEqual((await exchangeRaw(port, header + request)).statuses, [200], header);
  }
  assert.deepEqual(named, ["192.0.2.7"]);
  server.close();
  await closed;
});
