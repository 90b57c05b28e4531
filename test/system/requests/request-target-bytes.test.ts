import assert from "node:assert/strict";
import { afterEach, it } from "node:test";
import { via } from "../../support/callers.ts";
import { ending, turn } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { connectRaw } from "../../support/raw-http.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const RAW = "/caf\xc3\xa9?q=\xe6\x97\xa5";
const ESCAPED = "/caf%C3%A9?q=%E6%97%A5";

it("takes raw UTF-8 in the path of a first request: in plaintext, over TLS, and as a forward proxy", async () => {
  const target = await startRawTarget(({ socket }) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  await using system = await startSystem({ tls: true, target });
  const fields = `Authorization: Bearer ${ADMIN_TOKEN}\r\nConnection: close\r\n\r\n`;
  const proxyFields = `Proxy-${fields}`;
  for (const ca of [undefined, system.pki?.ca]) {
    for (const [to, rest] of [
      [via(RAW), fields],
      [`http://${TARGET}.${RUNNER}${RAW}`, proxyFields],
    ] as const) {
      const bytes = `GET ${to} HTTP/1.1\r\nHost: ${TARGET}.${RUNNER}\r\n${rest}`;
      const { statuses } = await exchangeRaw(system.controlPlane.port, bytes, { ca });
      assert.deepEqual(statuses, [200], `${to} ${ca === undefined ? "in plaintext" : "over TLS"}`);
      assert.equal(target.heads.at(-1)?.split("\r\n", 1)[0], `GET ${ESCAPED} HTTP/1.1`);
    }
  }
});

it("takes them however the request is cut into pieces", async () => {
  const target = await startRawTarget(({ socket }) => {
    socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  await using system = await startSystem({ tls: true, target });
  const { port } = system.controlPlane;
  const line = `\r\nGET ${via(RAW)} HTTP/1.1\r\n`;
  const rest = `Host: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nConnection: close\r\n\r\n`;
  for (const ca of [undefined, system.pki?.ca]) {
    for (const cuts of [
      [1],
      [8],
      [line.indexOf("\xc3")],
      [line.indexOf("\xc3") + 1],
      Array.from({ length: line.length }, (_, i) => i),
    ]) {
      const socket = await connectRaw(port, { ca });
      const ended = ending(socket);
      let from = 0;
      for (const cut of cuts) {
        socket.write(Buffer.from(line.slice(from, cut), "latin1"));
        from = cut;
        await turn(3); // both ends are in this process
      }
      socket.write(Buffer.from(line.slice(from) + rest, "latin1"));
      const { data } = await ended;
      assert.match(data.toString("latin1"), /^HTTP\/1\.1 200 /);
      assert.equal(target.heads.at(-1)?.split("\r\n", 1)[0], `GET ${ESCAPED} HTTP/1.1`);
      socket.destroy();
    }
  }
});

it("is refused with 400 where the caller ends its half within the request line", async () => {
  await using system = await startSystem({ tls: true, agents: 0 });
  for (const ca of [undefined, system.pki?.ca]) {
    const socket = await connectRaw(system.controlPlane.port, { ca });
    const ended = ending(socket);
    socket.end("GET /healthz HT");
    assert.match((await ended).data.toString("latin1"), /^HTTP\/1\.1 400 /);
    socket.destroy();
  }
});
