/** An agent that refuses a stream with 401 or 407 does not mean the caller's credential, which it does not know. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { afterEach, describe, it } from "node:test";
import { CAPABILITY } from "../../../src/wire/protocol.ts";
import { errorCode, openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import { ending, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const OWN = 'turnabout; error=http_request_denied; details="unauthenticated"';
const CREDENTIAL = `Bearer ${ADMIN_TOKEN}`;
const WEB_SOCKET =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const REFUSALS: readonly (readonly [what: string, headers: Record<string, string | number>])[] = [
  ["401", { ":status": 401, "www-authenticate": "Basic" }],
  ["407", { ":status": 407, "proxy-authenticate": "Basic" }],
  ["401 with its code", { ":status": 401, "proxy-status": OWN }],
];

for (const [what, headers] of REFUSALS) {
  describe(`an agent's own ${what}`, () => {
    const respond = (stream: ServerHttp2Stream): void => stream.respond(headers, { endStream: true });
    const capabilities = [CAPABILITY.websocket, CAPABILITY.proxyStatus];

    for (const kind of PLAINTEXT_CALLERS) {
      it(`is 502 over ${kind}`, async () => {
        await using system = await startSystem({ agents: 0 });
        await using _agent = await startScriptedAgent(system.controlPlane, {
          capabilities,
          onStream: respond,
        });
        await using caller = await openCaller(kind, system);
        const response = await caller.call({ path: via("/") });
        assert.deepEqual([response.status, errorCode(response.text)], [502, "tunnel_protocol"]);
        assert.equal(response.headers["www-authenticate"], undefined);
      });
    }

    it("is 502 to a CONNECT", async () => {
      await using system = await startSystem({ agents: 0 });
      await using _agent = await startScriptedAgent(system.controlPlane, { capabilities, onStream: respond });
      const name = `${TARGET}.${RUNNER}`;
      const { text } = await exchangeRaw(
        system.controlPlane.port,
        `CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\nProxy-Authorization: ${CREDENTIAL}\r\n\r\n`,
      );
      assert.match(text, /^HTTP\/1\.1 502 [^]*details="tunnel_protocol"/);
      const session = http2.connect(`http://127.0.0.1:${system.controlPlane.port}`);
      const fields = { ":method": "CONNECT", ":authority": name, "proxy-authorization": CREDENTIAL };
      const stream = session.request(fields);
      const [response] = await within(next<[IncomingHttpHeaders]>(stream, "response"), "a response");
      assert.equal(response[":status"], 502);
      await ending(stream);
      const closed = next(session, "close");
      session.destroy();
      await closed;
    });
  });
}

describe("a WebSocket that is refused with 401", () => {
  const upgrade = (port: number): Promise<{ text: string }> => {
    const request = `GET ${via("/")} HTTP/1.1\r\nHost: x\r\nAuthorization: ${CREDENTIAL}\r\n${WEB_SOCKET}\r\n`;
    return exchangeRaw(port, request);
  };

  for (const capabilities of [[CAPABILITY.websocket], [CAPABILITY.websocket, CAPABILITY.proxyStatus]]) {
    it(`by an agent with ${capabilities.join(" and ")} is 502`, async () => {
      await using system = await startSystem({ agents: 0 });
      const onStream = (stream: ServerHttp2Stream): void =>
        stream.respond({ ":status": 401, "proxy-status": OWN }, { endStream: true });
      await using _agent = await startScriptedAgent(system.controlPlane, { capabilities, onStream });
      const { text } = await upgrade(system.controlPlane.port);
      assert.match(text, /^HTTP\/1\.1 502 [^]*details="tunnel_protocol"/);
    });
  }

  it("by the target is 401, and so is the 407 of a request", async () => {
    const target = await startTarget((socket) => {
      socket.once("data", (bytes: Buffer) => {
        const status = bytes.toString("latin1").includes("websocket") ? "401 No" : "407 No";
        socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      });
    });
    await using system = await startSystem({ target });
    assert.match((await upgrade(system.controlPlane.port)).text, /^HTTP\/1\.1 401 /);
    await using caller = await openCaller("HTTP/1.1", system);
    assert.equal((await caller.call({ path: via("/") })).status, 407);
  });
});
