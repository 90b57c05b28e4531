/** What the server refuses before anything looks at what a request is for: as every other refusal, with code and reason. */
import assert from "node:assert/strict";
import http2 from "node:http2";
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";
import { after, before, describe, it } from "node:test";
import { errorCode, via } from "../../support/callers.ts";
import { ending, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startRawTarget } from "../../support/raw-target.ts";

let system: System;
let heads: readonly string[];

before(async () => {
  const target = await startRawTarget(({ socket }) => {
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  ({ heads } = target);
  system = await startSystem({ target });
});

after(async () => {
  await system.close();
  await assertNothingOpen();
});

const START = `GET ${via("/")} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n`;

describe("over HTTP/1.1", () => {
  for (const [what, bytes, status, code] of [
    ["bytes that are no HTTP", "\0\r\n\r\n", 400, "bad_request"],
    ["a line end without CR", START.replace("\r\n", "\n") + "\r\n", 400, "bad_request"],
    ["an HTTP version that is none", START.replace("1.1", "9.9") + "\r\n", 400, "bad_request"],
    ["a header above 32 KiB", `${START}X-L: ${"x".repeat(40_000)}\r\n\r\n`, 431, "headers_too_large"],
    ["a request target above 32 KiB", `GET /${"x".repeat(40_000)} HTTP/1.1\r\n`, 431, "headers_too_large"],
    [
      "chunk extensions without end",
      `${START.replace("GET", "POST")}Transfer-Encoding: chunked\r\n\r\n1;${"x".repeat(20_000)}`,
      413,
      "payload_too_large",
    ],
    ["an expectation", `${START}Connection: close\r\nExpect: 200-ok\r\n\r\n`, 417, "expectation_failed"],
  ] as const) {
    it(`${what} is ${status} with a code and Proxy-Status`, async () => {
      const { text } = await exchangeRaw(system.controlPlane.port, bytes);
      const [head = "", body = ""] = text.split("\r\n\r\n");
      assert.match(head, new RegExp(`^HTTP/1.1 ${status} `));
      assert.equal(errorCode(body), code);
      assert.match(head, new RegExp(`^proxy-status: turnabout; .*details="${code}"`, "im"));
      assert.match(head, /^connection: close/im);
    });
  }
});

describe("over HTTP/2", () => {
  const session = (): http2.ClientHttp2Session => {
    const created = http2.connect(`http://127.0.0.1:${system.controlPlane.port}`);
    created.on("error", () => {}); // permanent
    return created;
  };

  for (const [what, isEarly] of [
    ["before the client has seen our SETTINGS", true],
    ["after it", false],
  ] as const) {
    it(`a header above 32 KiB is 431 ${what}, and one below it passes`, async () => {
      const client = session();
      if (!isEarly) await next(client, "remoteSettings");
      const authorization = `Bearer ${ADMIN_TOKEN}`;
      const webSocket = {
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "http",
        ":authority": "x",
      };
      const many = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`x-${i}`, "y".repeat(240)]));
      const before = heads.length;
      for (const [headers, expected] of [
        [{ "x-l": "x".repeat(33_000) }, 431],
        [{ "x-l": "~".repeat(40_000) }, 431],
        [many, 431], // below it on HTTP/1.1: 32 bytes are added for each
        ...(isEarly ? [] : ([[{ ...webSocket, "x-l": "x".repeat(33_000) }, 431]] as const)),
        [{ "x-l": "x".repeat(31_000) }, 200],
      ] satisfies readonly (readonly [OutgoingHttpHeaders, number])[]) {
        const stream = client.request({ ":path": via("/"), authorization, ...headers });
        const [response] = await within(next<[IncomingHttpHeaders]>(stream, "response"), "a response");
        stream.end();
        const { data } = await ending(stream);
        assert.equal(response[":status"], expected, Object.keys(headers).join());
        if (expected === 200) continue;
        assert.equal(errorCode(data.toString()), "headers_too_large");
        assert.match(String(response["proxy-status"]), /details="headers_too_large"/);
      }
      assert.equal(heads.length, before + 1, "none of them has reached the target");
      const closed = next(client, "close");
      client.destroy();
      await closed;
    });
  }

  it("an expectation is 417 with a code", async () => {
    const client = session();
    const stream = client.request({ ":path": "/healthz", expect: "200-ok" });
    const [response] = await within(next<[IncomingHttpHeaders]>(stream, "response"), "a response");
    const { data } = await ending(stream);
    assert.deepEqual([response[":status"], errorCode(data.toString())], [417, "expectation_failed"]);
    const closed = next(client, "close");
    client.destroy();
    await closed;
  });
});
