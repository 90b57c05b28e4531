/** Bulk through CONNECT, both ways at once: every byte arrives, the last ones too, while memory is used again and again. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import http from "node:http";
import http2 from "node:http2";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterEach, describe, it } from "node:test";
import { next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const AUTHORITY = `${TARGET}.${RUNNER}`;
const CREDENTIAL = { "proxy-authorization": `Bearer ${ADMIN_TOKEN}` };

async function connectByHttp1(port: number): Promise<Duplex> {
  const request = http.request({ port, method: "CONNECT", path: AUTHORITY, headers: CREDENTIAL });
  const connected = next<[http.IncomingMessage, Duplex]>(request, "connect");
  request.end();
  const [response, socket] = await connected;
  assert.equal(response.statusCode, 200);
  return socket;
}

async function connectByHttp2(session: http2.ClientHttp2Session): Promise<Duplex> {
  const stream = session.request({ ":method": "CONNECT", ":authority": AUTHORITY, ...CREDENTIAL });
  const [headers] = await next<[http2.IncomingHttpHeaders]>(stream, "response");
  assert.equal(headers[":status"], 200);
  return stream;
}

describe("bulk through CONNECT", () => {
  it("arrives whole, by HTTP/1.1 and HTTP/2 beside each other", async () => {
    await using system = await startSystem({ agent: { connections: 2 } });
    const { port } = system.controlPlane;
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const streams = await Promise.all(
      Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? connectByHttp1(port) : connectByHttp2(session))),
    );
    const payloads = streams.map(() => randomBytes(2_000_000));
    const echoes = streams.map((stream) => buffer(stream));
    for (const [i, stream] of streams.entries()) stream.end(payloads[i]);
    for (const [i, bytes] of (await Promise.all(echoes)).entries()) {
      assert.ok(payloads[i]?.equals(bytes), `stream ${i}: ${bytes.length} bytes`);
    }
    session.close();
  });
});
