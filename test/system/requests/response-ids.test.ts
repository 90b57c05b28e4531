/** The id of a request is in its response, also where it has succeeded: the same one as in the access log. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import { eventually, next } from "../../support/events.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";
import { refusedWebSocket, startWebSocket } from "../../support/websockets.ts";

const THEIRS = "the-callers";
const path = tempPath(".log");
let target: TestTarget;
let system: System;

before(async () => {
  const http = await startHttpTarget((request, response) => {
    response.writeHead(request.url === "/304" ? 304 : 200, { "x-request-id": "the-targets" });
    response.end("done");
  });
  target = http;
  new WebSocketServer({ server: http.http, path: "/ws" });
  system = await startSystem({ target, controlPlane: { accessLog: path } });
});
after(async () => {
  await system.close();
  await target.close();
});

async function assertLogged(id: unknown, way: string): Promise<void> {
  assert.match(String(id), /^[0-9a-f-]{36}$/);
  const line = (): string | undefined =>
    readFileSync(path, "utf8")
      .split("\n")
      .find((each) => each.includes(`"id":"${String(id)}"`));
  await eventually(() => line() !== undefined, `a line of ${String(id)}`);
  assert.equal((JSON.parse(line() ?? "{}") as { way: string }).way, way);
}

for (const kind of PLAINTEXT_CALLERS) {
  describe(`over ${kind}`, () => {
    it("a response on the route has ours, whatever the caller and the target have sent", async () => {
      await using caller = await openCaller(kind, system);
      for (const [method, at] of [
        ["GET", "/"],
        ["HEAD", "/"],
        ["GET", "/304"],
      ] as const) {
        const { headers } = await caller.call({ method, path: via(at), headers: { "x-request-id": THEIRS } });
        await assertLogged(headers["x-request-id"], "route");
      }
    });

    it("a WebSocket has it, open or refused by its target", async () => {
      await using caller = await startWebSocket(kind, system, via("/ws"));
      const [response] = await next<[{ headers: Record<string, unknown> }]>(caller.socket, "upgrade");
      caller.socket.terminate();
      await assertLogged(response.headers["x-request-id"], "websocket");
      const { headers } = await refusedWebSocket(kind, system, via("/elsewhere"));
      await assertLogged(headers["x-request-id"], "websocket");
    });

    it("a response of the API has it", async () => {
      await using caller = await openCaller(kind, system);
      const { status, headers } = await caller.call({ path: "/api/v1/runners" });
      assert.equal(status, 200);
      await assertLogged(headers["x-request-id"], "api");
    });
  });
}

it("the response to a CONNECT has it, and what passes through is the target's alone", async () => {
  const field = `Proxy-Authorization: Bearer ${ADMIN_TOKEN}\r\n`;
  const connect = `CONNECT ${TARGET}.${RUNNER} HTTP/1.1\r\nHost: x\r\n${field}\r\n`;
  const request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const { text } = await exchangeRaw(system.controlPlane.port, `${connect}${request}`);
  const ids = [...text.matchAll(/^x-request-id: (.*)\r$/gim)].map(([, id]) => id);
  assert.equal(ids[1], "the-targets");
  await assertLogged(ids[0], "connect");
});

it("the forward proxy adds none", async () => {
  const field = `Proxy-Authorization: Bearer ${ADMIN_TOKEN}\r\nConnection: close\r\n`;
  const { text } = await exchangeRaw(
    system.controlPlane.port,
    `GET http://${TARGET}.${RUNNER}/ HTTP/1.1\r\nHost: x\r\n${field}\r\n`,
  );
  assert.match(text, /^HTTP\/1\.1 200 /);
  assert.doesNotMatch(text, /x-request-id/i);
});
