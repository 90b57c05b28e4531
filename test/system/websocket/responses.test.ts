/** Targets' responses to a WebSocket handshake: passed on where the caller's protocol can represent them, else 502. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type http from "node:http";
import http2 from "node:http2";
import type { IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { after, before, describe, it } from "node:test";
import { errorCode, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import type { CallerKind } from "../../support/callers.ts";
import { ending, next } from "../../support/events.ts";
import type { Ending } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import type { RawRequest } from "../../support/raw-target.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { openWebSocket, refusedWebSocket, startWebSocket } from "../../support/websockets.ts";
import type { WebSocketOptions } from "../../support/websockets.ts";

/** For the test's own client: node's limit is 16 KiB. */
const LARGE: WebSocketOptions & http.RequestOptions = { maxHeaderSize: 64 * 1024 };

const utf8 = (text: string): string => Buffer.from(text).toString("latin1");
const BODY = "Content-Length: 2\r\n\r\nno";

/** Refusals of which only a part is ever sent. */
const CUT: Readonly<Record<string, string>> = {
  "/cut-open": "HTTP/1.1 403 No\r\n\r\nno",
  "/cut-http10": "HTTP/1.0 403 No\r\n\r\nno",
  "/cut-length": "HTTP/1.1 403 No\r\nContent-Length: 10\r\n\r\nno",
  "/cut-chunked": "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n",
};

/** `Location` as it comes → as a caller of the route `ROUTE` has it; undefined: not at all. */
const LOCATIONS: readonly (readonly [string, string | undefined])[] = [
  ["http://127.0.0.1:9/a?q=é", "ROUTE/a?q=é"],
  ["http://user:pw@localhost/é", "ROUTE/é"],
  ["http://TARGET/é", "ROUTE/é"],
  ["//localhost:3000/é", "ROUTE/é"],
  ["/\\localhost/é", "ROUTE/é"],
  ["/\t/localhost/é", "ROUTE/\t/localhost/é"],
  ["https://other.example/é", "https://other.example/é"],
  ["é", "é"],
  ["/é", "/é"],
];

const REFUSALS: Readonly<Record<string, string>> = {
  "/999": `HTTP/1.1 999 Denied\r\n${BODY}`,
  "/600": `HTTP/1.1 600 What\r\n${BODY}`,
  "/found": `HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ${utf8("/日本")}\r\nX-Where: ${utf8("/日本")}\r\n\r\n`,
  "/twice": `HTTP/1.1 401 Who\r\nETag: a\r\nETag: b\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nKeep-Alive: x\r\nX-Padded: a \r\n${BODY}`,
  "/304": "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
  "/hints": `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 403 No\r\n${BODY}`,
  "/hints-flood": `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1_500)}HTTP/1.1 403 No\r\n${BODY}`,
  "/chunked-http10": "HTTP/1.0 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
  "/coded": "HTTP/1.1 403 No\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
  "/many": `HTTP/1.1 403 No\r\n${Array.from({ length: 300 }, (_, i) => `x-${i}: y\r\n`).join("")}${BODY}`,
};

/** Fields of a 101. */
const ACCEPTED: Readonly<Record<string, string>> = {
  "/large": `X-Large: ${"y".repeat(20_000)}\r\n`,
  "/raw": `X-Raw: ${utf8("日本")}\r\nETag: a\r\nETag: b\r\n`,
  "/too-large": `${"x".repeat(60)}: ${"y".repeat(47_000)}\r\nX-More: ${"z".repeat(3_000)}\r\n`,
  "/too-many": Array.from({ length: 300 }, (_, i) => `x-${i}: y\r\n`).join(""),
};

const cutSockets = new Map<string, Socket>();

function respond({ head, socket }: RawRequest): void {
  const path = head.split(" ", 2)[1] ?? "";
  const located = /^\/located\?(\d+)$/.exec(path)?.[1];
  if (located !== undefined) {
    const location = LOCATIONS[Number(located)]?.[0].replace("TARGET", `127.0.0.1:${socket.localPort}`) ?? "";
    return void socket.write(`HTTP/1.1 302 Found\r\nLocation: ${utf8(location)}\r\n${BODY}`, "latin1");
  }
  if (CUT[path] !== undefined) {
    cutSockets.set(path, socket);
    return void socket.write(CUT[path]);
  }
  const fields = ACCEPTED[path];
  if (fields === undefined) return void socket.write(REFUSALS[path] ?? "", "latin1");
  const key = /^sec-websocket-key: (.*)$/im.exec(head)?.[1] ?? "";
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  const lines = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${fields}\r\n`;
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}`, "latin1");
}

let system: System;

/** How the body of a refusal ends for its caller, when the target's connection ends so. */
async function refusalCut(
  kind: CallerKind,
  path: string,
  strike: (socket: Socket) => void,
): Promise<Ending["kind"]> {
  const cut = async (body: Readable): Promise<Ending["kind"]> => {
    const end = ending(body);
    await next(body, "data");
    const socket = cutSockets.get(path);
    assert.ok(socket !== undefined);
    strike(socket);
    return (await end).kind;
  };
  if (kind === "HTTP/1.1") {
    await using caller = await startWebSocket(kind, system, via(path));
    const [, response] = await next<[unknown, IncomingMessage]>(caller.socket, "unexpected-response");
    assert.equal(response.statusCode, 403);
    return await cut(response);
  }
  const session = http2.connect(`http://127.0.0.1:${system.controlPlane.port}`);
  session.on("error", () => {}); // permanent
  try {
    await next(session, "remoteSettings");
    const stream = session.request({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": via(path),
      "sec-websocket-version": "13",
      authorization: `Bearer ${ADMIN_TOKEN}`,
    });
    const [{ ":status": status }] = await next<[IncomingHttpHeaders & IncomingHttpStatusHeader]>(
      stream,
      "response",
    );
    assert.equal(status, 403);
    return await cut(stream);
  } finally {
    session.destroy();
  }
}

before(async () => {
  system = await startSystem({ target: await startRawTarget(respond) });
});

after(async () => {
  await system.close();
  await assertNothingOpen();
});

for (const kind of PLAINTEXT_CALLERS) {
  describe(`a WebSocket over ${kind}`, () => {
    for (const path of ["/999", "/600", "/hints-flood", "/many", "/coded", "/chunked-http10"]) {
      it(`${path} is refused with 502 target_protocol`, async () => {
        const refusal = await refusedWebSocket(kind, system, via(path));
        assert.deepEqual([refusal.status, errorCode(refusal.text)], [502, "target_protocol"]);
      });
    }

    it("a refusal passes with its bytes, also where fields came twice", async () => {
      const found = await refusedWebSocket(kind, system, via("/found"));
      const bytes = utf8("/日本");
      assert.deepEqual(
        [found.status, found.headers["x-where"], found.headers["location"]],
        [302, bytes, bytes],
      );
      const twice = await refusedWebSocket(kind, system, via("/twice"));
      assert.deepEqual([twice.status, twice.text, twice.headers["x-padded"]], [401, "no", "a"]);
    });

    it("a redirect that names the target itself stays on the route, whatever bytes are in it", async () => {
      for (const [i, [sent, expected]] of LOCATIONS.entries()) {
        const { headers } = await refusedWebSocket(kind, system, via(`/located?${i}`));
        const location = expected === undefined ? undefined : utf8(expected.replace("ROUTE", via("")));
        assert.equal(headers["location"], location, sent);
      }
    });

    for (const path of Object.keys(CUT)) {
      it(`${path} that ends with a reset is broken off`, async () => {
        assert.notEqual(await refusalCut(kind, path, (socket) => socket.resetAndDestroy()), "end");
      });
    }

    for (const path of ["/cut-length", "/cut-chunked"]) {
      it(`${path} that ends with a FIN is broken off`, async () => {
        assert.notEqual(await refusalCut(kind, path, (socket) => socket.end()), "end");
      });
    }

    it("a body up to the end of the connection is whole", async () => {
      assert.equal(await refusalCut(kind, "/cut-open", (socket) => socket.end()), "end");
    });

    it("a refusal without content, and one after an informational response, pass", async () => {
      assert.equal((await refusedWebSocket(kind, system, via("/304"))).status, 304);
      const hints = await refusedWebSocket(kind, system, via("/hints"));
      assert.deepEqual([hints.status, hints.text], [403, "no"]);
    });

    it("a header of 20 KB, and bytes above 0x7f, open it", async () => {
      for (const path of ["/large", "/raw"]) {
        await using _socket = await openWebSocket(kind, system, via(path), LARGE);
      }
    });

    it("a header that no header block of the tunnel may have is refused, and the tunnel lives", async () => {
      for (const path of ["/too-large", "/too-many"]) {
        const refusal = await refusedWebSocket(kind, system, via(path));
        assert.deepEqual([refusal.status, errorCode(refusal.text)], [502, "target_protocol"], path);
      }
      await using _socket = await openWebSocket(kind, system, via("/raw"), LARGE);
    });
  });
}

it("bytes above 0x7f in a refusal leave unchanged on HTTP/1.1", async () => {
  const { text } = await exchangeRaw(
    system.controlPlane.port,
    `GET ${via("/found")} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nConnection: Upgrade\r\n` +
      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
  assert.match(text, new RegExp(`x-where: ${utf8("/日本")}\r\n`));
});
