/** A credential in plaintext on a port that speaks TLS: refused from elsewhere, accepted from where it may be. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import { after, describe, it } from "node:test";
import type { Logger } from "../../../src/wire/log.ts";
import { followAgent, keptLog } from "../../support/agents.ts";
import { next } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw, exchangeRaw } from "../../support/raw-http.ts";
import { startProxyProtocolProxy } from "../../support/reverse-proxies.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

after(() => assertNothingOpen());

/** The peers are on loopback: a PROXY header gives each connection another client. */
const PROXY = "127.0.0.3";
const STRANGER = "203.0.113.9";
const NEIGHBOUR = "10.1.2.3";
const API = "/api/v1/runners";
const TOKEN = `Authorization: Bearer ${ADMIN_TOKEN}`;

function header(client: string): string {
  return `PROXY TCP4 ${client} 198.51.100.1 1 443\r\n`;
}

interface StartOptions {
  tls: boolean;
  log?: Logger;
  trusted?: string;
}

function start({ tls, log, trusted = PROXY }: StartOptions): Promise<System> {
  const controlPlane = {
    log,
    trustedProxies: [trusted],
    proxyProtocol: "allow" as const,
    ...(tls && { plainHttpFrom: ["10.0.0.0/8"] }),
  };
  return startSystem({ tls, controlPlane });
}

async function statusOf(
  system: System,
  client: string | undefined,
  request: string,
  from = PROXY,
): Promise<string> {
  const start = client === undefined ? "" : header(client);
  const { statuses, text } = await exchangeRaw(
    system.controlPlane.address.port,
    `${start}${request}\r\nHost: cp.example\r\nConnection: close\r\n\r\n`,
    { from },
  );
  const [, code = ""] = /"code":"(\w+)"/.exec(text) ?? [];
  return [statuses.at(-1), code].join(" ").trim();
}

describe("a port with a certificate", () => {
  it("refuses credentials in plaintext from elsewhere, in whatever place, and logs from where", async () => {
    const { log, lines } = keptLog();
    await using system = await start({ tls: true, log });
    const places: string[] = [
      `GET ${API} HTTP/1.1\r\n${TOKEN}`,
      `GET ${API} HTTP/1.1\r\nX-Api-Key: ${ADMIN_TOKEN}`,
      `GET ${API} HTTP/1.1\r\nCookie: a=b; access_token=${ADMIN_TOKEN}`,
      `GET ${API}?access_token=${ADMIN_TOKEN} HTTP/1.1`,
      `GET http://echo.runner-1/ HTTP/1.1\r\nProxy-${TOKEN}`,
      `CONNECT echo.runner-1:80 HTTP/1.1\r\nProxy-${TOKEN}`,
      `GET /api/v1/revdial?runnerid=x HTTP/1.1\r\nUpgrade: ptth\r\n${TOKEN}`,
      "POST /api/v1/sign-in HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 0",
    ];
    for (const place of places)
      assert.equal(await statusOf(system, STRANGER, place), "403 tls_required", place);
    const line = await lines.find(({ message }) => message.startsWith("a credential came without TLS"), "it");
    assert.equal(line.fields["peer"], STRANGER);
    assert.ok(!JSON.stringify(lines.all).includes(ADMIN_TOKEN));
  });

  it("refuses it on HTTP/2 as well, requests and CONNECT", async () => {
    await using system = await start({ tls: true });
    const socket = await connectRaw(system.controlPlane.address.port, { from: PROXY });
    socket.write(header(STRANGER));
    const session = http2.connect("http://cp.example", { createConnection: () => socket });
    const bearer = `Bearer ${ADMIN_TOKEN}`;
    for (const fields of [
      { ":path": API, authorization: bearer },
      { ":method": "CONNECT", ":authority": "echo.runner-1:80", "proxy-authorization": bearer },
    ]) {
      const stream = session.request(fields).resume();
      const [headers] = await next<[http2.IncomingHttpHeaders]>(stream, "response");
      assert.equal(headers[":status"], 403);
      stream.end();
      await next(stream, "close");
    }
    session.close();
    await next(session, "close");
  });

  it("accepts it over TLS, from this machine, from a named network and from a trusted proxy", async () => {
    await using system = await start({ tls: true });
    const request = `GET ${API} HTTP/1.1\r\n${TOKEN}`;
    assert.equal(await statusOf(system, NEIGHBOUR, request), "200");
    assert.equal(await statusOf(system, undefined, request, "127.0.0.1"), "200");
    assert.equal(await statusOf(system, undefined, request), "200", "the proxy itself");
    const { ca } = system.pki ?? assert.fail("with TLS");
    assert.equal((await call(`${system.url}${API}`, { ca })).status, 200);
  });

  it("serves without TLS what needs no credential: probes", async () => {
    await using system = await start({ tls: true });
    assert.equal(await statusOf(system, STRANGER, "GET /healthz HTTP/1.1"), "200");
    assert.equal(await statusOf(system, STRANGER, `GET ${API} HTTP/1.1`), "401 unauthenticated");
  });

  it("sends an agent away with a hint, whose attempts become slow", async () => {
    await using system = await start({ tls: true, trusted: "127.0.0.1" });
    await using proxy = await startProxyProtocolProxy(system.controlPlane.port, header(STRANGER));
    const { log, lines } = keptLog();
    await using agent = followAgent({ server: `http://127.0.0.1:${proxy.port}`, log });
    assert.match(
      (await agent.failed()).error.message,
      /refused \(403\): This server accepts credentials over https only/,
    );
    const { fields } = await lines.find(({ message }) => message.startsWith("refused"), "the refusal");
    assert.match(String(fields["hint"]), /^use https:\/\/ in --server, and issue a new token/);
  });
});

it("a port without a certificate accepts credentials in plaintext: it has nothing better", async () => {
  await using system = await start({ tls: false });
  assert.equal(await statusOf(system, STRANGER, `GET ${API} HTTP/1.1\r\n${TOKEN}`), "200");
});
