/** Whom a request is for: absolute form and HTTP/2's `:authority` name a target, or the control plane itself. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { afterEach, describe, it } from "node:test";
import { errorCode } from "../../support/callers.ts";
import { ending, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeHttp2, exchangeRaw } from "../../support/raw-http.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const NAME = `${TARGET}.${RUNNER}`;
const PROXY = { "proxy-authorization": `Basic ${Buffer.from(`x:${ADMIN_TOKEN}`).toString("base64")}` };
const API = { authorization: `Bearer ${ADMIN_TOKEN}` };
/** A host's name that could be a target's as well. */
const OWN = "cp.example";

async function start(tls: boolean): Promise<System> {
  const target = await startRawTarget(({ socket }) => {
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ntarget");
  });
  return startSystem({ tls, target, controlPlane: { agentUrl: `https://${OWN}` } });
}

async function overHttp1(
  { controlPlane, pki }: System,
  target: string,
  { method = "GET", ...fields }: Record<string, string> = {},
): Promise<string> {
  const lines = Object.entries({ host: "whatever", connection: "close", ...fields }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  const request = `${method} ${target} HTTP/1.1\r\n${lines.join("")}\r\n`;
  const { text } = await exchangeRaw(controlPlane.port, request, { ca: pki?.ca });
  return outcome(Number(text.slice(9, 12)), text.slice(text.indexOf("\r\n\r\n") + 4));
}

async function overHttp2(
  { controlPlane, pki }: System,
  headers: OutgoingHttpHeaders,
  servername = "localhost",
): Promise<string> {
  const options = pki === undefined ? {} : { ca: pki.ca, servername, checkServerIdentity: () => undefined };
  const session = http2.connect(
    `${pki === undefined ? "http" : "https"}://127.0.0.1:${controlPlane.port}`,
    options,
  );
  session.on("error", () => {}); // permanent
  await next(session, "remoteSettings");
  const stream = session.request(headers, { endStream: headers[":protocol"] === undefined });
  const [response] = await within(next<[IncomingHttpHeaders]>(stream, "response"), "a response");
  const { data } = await ending(stream);
  const closed = next(session, "close");
  session.destroy();
  await closed;
  return outcome(Number(response[":status"]), data.toString());
}

/** `200 target`, `200` of our own, or the code of a refusal. */
function outcome(status: number, body: string): string {
  if (body === "target") return `${status} target`;
  return status < 400 || body === "" ? String(status) : `${status} ${errorCode(body)}`;
}

for (const tls of [false, true]) {
  const on = tls ? "TLS" : "plaintext";
  describe(`over HTTP/1.1 on ${on}`, () => {
    it("the absolute form is the forward proxy's for a target, and ours for any other host", async () => {
      await using system = await start(tls);
      const upgrade = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-version": "13" };
      const key = { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
      for (const [target, fields, expected] of [
        [`http://${NAME}/x`, PROXY, "200 target"],
        [`http://${NAME}:80/healthz`, {}, "407 unauthenticated"],
        [`HTTP://${NAME}?x`, PROXY, "200 target"],
        [`https://${NAME}/`, PROXY, "400 bad_request"],
        [`ws://${NAME}/`, PROXY, "400 bad_request"],
        [`http://example.co.uk/`, PROXY, "400 bad_request"],
        ["http://127.0.0.1/healthz", {}, "200"],
        [`http://127.0.0.1:${system.controlPlane.port}/api/v1/runners`, API, "200"],
        ["http://localhost/api/v1/runners", {}, "401 unauthenticated"],
        ["https://www.cp.example:8443/healthz", {}, "200"],
        [`http://${OWN}/healthz`, {}, "200"],
        [`http://${OWN.toUpperCase()}:443/api/v1/runners/${RUNNER}/targets/${TARGET}/x`, API, "200 target"],
        ["http://localhost/nothing", {}, "404 not_found"],
        ["ftp://localhost/healthz", {}, "400 bad_request"],
        ["http://user@localhost/healthz", {}, "400 bad_request"],
        ["localhost/healthz", {}, "400 bad_request"],
        // The target ignores the upgrade, and serves the request (RFC 9110 §7.8).
        [`ws://${NAME}/x`, { ...PROXY, ...upgrade, ...key }, "200 target"],
        [`http://${NAME}/x`, { ...PROXY, ...upgrade, ...key }, "200 target"],
        [`wss://${NAME}/x`, { ...PROXY, ...upgrade, ...key }, "400 bad_request"],
        [`ws://${NAME}/x`, { ...upgrade, ...key }, "407 unauthenticated"],
        [
          `ws://localhost/api/v1/runners/${RUNNER}/targets/${TARGET}/x`,
          { ...API, ...upgrade, ...key },
          "200 target",
        ],
      ] as const) {
        assert.equal(
          await overHttp1(system, target, { ...fields }),
          expected,
          `${target} ${JSON.stringify(fields)}`,
        );
      }
    });
  });
}

describe("a request that is not for the forward proxy as it stands", () => {
  it("is refused with what to do, on HTTP/1.1 and on HTTP/2", async () => {
    await using system = await start(false);
    const { port } = system.controlPlane;
    const credential = `Proxy-Authorization: ${PROXY["proxy-authorization"]}\r\nConnection: close\r\n`;
    const { text } = await exchangeRaw(port, `GET https://${NAME}/ HTTP/1.1\r\nHost: x\r\n${credential}\r\n`);
    assert.match(text, /"details":\["the forward proxy takes https:\/\/ through CONNECT only"\]/);
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const stream = session.request({ ":scheme": "https", ":authority": NAME, ":path": "/", ...PROXY });
    const { data } = await ending(stream);
    assert.match(data.toString(), /"details":\["the forward proxy takes https:\/\/ through CONNECT only"\]/);
    const closed = next(session, "close");
    session.destroy();
    await closed;
  });

  it("has a malformed field on HTTP/2: it is reset, or reaches the target without the field", async () => {
    const target = await startRawTarget(({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    await using system = await startSystem({ target });
    const request = [
      [":method", "GET"],
      [":scheme", "http"],
      [":path", "/x"],
      [":authority", NAME],
      ["proxy-authorization", PROXY["proxy-authorization"]],
    ] as const;
    const send = (name: string, value: string): Promise<string> =>
      exchangeHttp2(system.controlPlane.port, [...request, [name, value]]);
    for (const [name, value] of [
      ["X-Bad", "a"],
      ["connection", "close"],
      ["transfer-encoding", "chunked"],
    ] as const) {
      assert.equal(await send(name, value), "reset 1", name);
    }
    assert.equal(target.heads.length, 0);
    for (const value of [" a", "a ", "\ta", "a\0b", "a\rb", "a\nb"]) {
      assert.equal(await send("x-bad", value), "200", JSON.stringify(value));
      assert.doesNotMatch(target.heads.at(-1) ?? "", /x-bad/i);
    }
    assert.equal(await send("x bad", "a"), "200");
    assert.doesNotMatch(target.heads.at(-1) ?? "", /x bad/i);
  });

  it("is a CONNECT with content, refused on both; with a length of 0 it is a tunnel on both", async () => {
    await using system = await start(false);
    const { port } = system.controlPlane;
    const name = "proxy-authorization";
    for (const [length, expected] of [
      ["5", "400"],
      ["0", "200"],
    ] as const) {
      const { text } = await exchangeRaw(
        port,
        `CONNECT ${NAME} HTTP/1.1\r\nHost: ${NAME}\r\n${name}: ${PROXY[name]}\r\nContent-Length: ${length}\r\n\r\n` +
          "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      );
      assert.equal(text.slice(9, 12), expected, `HTTP/1.1, ${length}`);
      const fields = [
        [":method", "CONNECT"],
        [":authority", NAME],
        [name, PROXY[name]],
        ["content-length", length],
      ] as const;
      assert.equal(await exchangeHttp2(port, fields), expected, `HTTP/2, ${length}`);
    }
  });
});

describe("an OPTIONS for a target as a whole", () => {
  it("is `*` to it, from a URI without path and query and from HTTP/2's `*`; any other keeps its path", async () => {
    const target = await startRawTarget(({ socket }) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntarget"); // kept alive: the next one is on it, too
    });
    await using system = await startSystem({ target });
    for (const [method, uri, line] of [
      ["OPTIONS", `http://${NAME}`, "OPTIONS * HTTP/1.1"],
      ["OPTIONS", `http://${NAME}/`, "OPTIONS / HTTP/1.1"],
      ["OPTIONS", `HTTP://${NAME}:80`, "OPTIONS * HTTP/1.1"],
      ["OPTIONS", `http://${NAME}?`, "OPTIONS /? HTTP/1.1"],
      ["OPTIONS", `http://${NAME}?q`, "OPTIONS /?q HTTP/1.1"],
      ["GET", `http://${NAME}`, "GET / HTTP/1.1"],
    ] as const) {
      assert.equal(await overHttp1(system, uri, { method, ...PROXY }), "200 target", uri);
      assert.equal(target.heads.at(-1)?.split("\r\n", 1)[0], line, uri);
    }
    const body = { "content-length": "0", "content-type": "text/plain" };
    assert.equal(
      await overHttp1(system, `http://${NAME}`, { method: "OPTIONS", ...PROXY, ...body }),
      "200 target",
    );
    assert.match(target.heads.at(-1) ?? "", /^OPTIONS \* HTTP\/1\.1\r\n/);
    const pseudo = { ":method": "OPTIONS", ":scheme": "http", ":authority": NAME, ...PROXY };
    for (const path of ["*", "/"]) {
      assert.equal(await overHttp2(system, { ...pseudo, ":path": path }), "200 target");
      assert.match(target.heads.at(-1) ?? "", new RegExp(`^OPTIONS [${path}] HTTP/1`));
    }
  });
});

describe("over HTTP/2", () => {
  it("on TLS, http is the forward proxy's and https is ours", async () => {
    await using system = await start(true);
    const api = `/api/v1/runners/${RUNNER}/targets/${TARGET}/x`;
    const webSocket = { ":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13" };
    for (const [headers, expected] of [
      [{ ":scheme": "http", ":authority": NAME, ":path": "/healthz", ...PROXY }, "200 target"],
      [{ ":scheme": "http", ":authority": `${NAME}:80`, ":path": "/x", ...PROXY }, "200 target"],
      [{ ":scheme": "http", ":authority": NAME, ":path": "/healthz" }, "407 unauthenticated"],
      [{ ":scheme": "https", ":authority": NAME, ":path": "/x", ...PROXY }, "400 bad_request"],
      [{ ":scheme": "https", ":authority": "other.example", ":path": "/healthz" }, "200"],
      [{ ":scheme": "https", ":authority": "other.example", ":path": api, ...API }, "200 target"],
      [{ ":scheme": "https", ":authority": "localhost", ":path": api }, "401 unauthenticated"],
      [{ ":scheme": "http", ":authority": OWN, ":path": "/healthz" }, "200"],
      [
        { ...webSocket, ":scheme": "https", ":authority": "other.example", ":path": api, ...API },
        "502 target_protocol",
      ],
      [
        { ...webSocket, ":scheme": "http", ":authority": NAME, ":path": "/x", ...PROXY },
        "502 target_protocol",
      ],
      [{ ...webSocket, ":scheme": "http", ":authority": NAME, ":path": "/x" }, "407 unauthenticated"],
    ] as const) {
      assert.equal(await overHttp2(system, headers), expected, JSON.stringify(headers));
    }
    const own = { ":scheme": "http", ":authority": "own.example", ":path": "/healthz" };
    assert.equal(await overHttp2(system, own, "own.example"), "200", "the name that it was connected to");
  });

  it("on plaintext, our own paths stay ours without a proxy credential", async () => {
    await using system = await start(false);
    const api = `/api/v1/runners/${RUNNER}/targets/${TARGET}/x`;
    const webSocket = { ":method": "CONNECT", ":protocol": "websocket", "sec-websocket-version": "13" };
    for (const [headers, expected] of [
      [{ ":authority": NAME, ":path": "/healthz", ...PROXY }, "200 target"],
      [{ ":authority": NAME, ":path": "/x" }, "407 unauthenticated"],
      [{ ":scheme": "https", ":authority": NAME, ":path": "/x", ...PROXY }, "400 bad_request"],
      [{ ":scheme": "ftp", ":authority": NAME, ":path": "/x", ...PROXY }, "400 bad_request"],
      [{ ...webSocket, ":scheme": "https", ":authority": NAME, ":path": "/x", ...PROXY }, "400 bad_request"],
      [{ ":authority": NAME, ":path": "/", ...PROXY }, "200 target"],
      [{ ":authority": "turnabout.prod", ":path": "/page/none.js" }, "404 not_found"],
      [{ ":authority": "turnabout.prod", ":path": "/healthz" }, "200"],
      [{ ":authority": "turnabout.prod", ":path": api, ...API }, "200 target"],
      [{ ":authority": "turnabout.prod:8080", ":path": "/api/v1/runners" }, "401 unauthenticated"],
      [{ ":authority": "turnabout.prod", ":scheme": "https", ":path": "/x" }, "404 not_found"],
      [{ ...webSocket, ":authority": "turnabout.prod", ":path": api, ...API }, "502 target_protocol"],
      [{ ...webSocket, ":authority": NAME, ":path": "/api/x" }, "407 unauthenticated"],
    ] as const) {
      assert.equal(
        await overHttp2(system, { ":scheme": "http", ...headers }),
        expected,
        JSON.stringify(headers),
      );
    }
  });
});
