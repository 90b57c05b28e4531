/** The access log of a whole system: one line for each request, WebSocket, CONNECT and dial, at its end, with what it was. */
import assert from "node:assert/strict";
import { readFileSync, renameSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { keptLog } from "../../support/agents.ts";
import type { KeptLine } from "../../support/agents.ts";
import { openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import { startServe } from "../../support/commands.ts";
import { ending, eventually } from "../../support/events.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";
import { openWebSocket, refusedWebSocket } from "../../support/websockets.ts";

interface Line {
  [member: string]: unknown;
  totalMs: number;
}

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const path = tempPath(".log");
let target: TestTarget;
let system: System;
let seen = 0;
let hanging = 0;

function linesIn(file: string): Line[] {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

/** What has been written since the last call. */
async function nextLines(count: number): Promise<Line[]> {
  await eventually(() => linesIn(path).length >= seen + count, `${count} lines of the access log`);
  const lines = linesIn(path).slice(seen);
  seen += lines.length;
  return lines;
}

/** Without what is different each time, after a look at its form. */
function checked({ time, id, connection, queueMs, dialMs, firstByteMs, totalMs, ...line }: Line): object {
  assert.match(String(time), ISO_TIME);
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
  assert.match(String(id), /^[\w-]{36}$/);
  if (connection !== undefined) assert.equal(typeof connection, "string");
  const spans = [queueMs, dialMs, firstByteMs].filter((span) => span !== undefined);
  for (const span of spans)
    assert.ok(Number(span) >= 0 && Number(span) <= totalMs, `${Number(span)} of ${totalMs}`);
  return { ...line, spans: spans.length, isPlaced: connection !== undefined };
}

before(async () => {
  const http = await startHttpTarget((request, response) => {
    if (request.url === "/hang") return void (hanging += 1);
    request.resume();
    request.on("end", () => response.end("twelve bytes"));
  });
  target = http;
  const sockets = new WebSocketServer({ server: http.http });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  system = await startSystem({ target, controlPlane: { accessLog: path } });
});
after(async () => {
  await system.close();
  await target.close();
});

const ADMIN = { credential: "admin", client: "127.0.0.1" };
const AT = { runner: RUNNER, target: TARGET };

for (const kind of PLAINTEXT_CALLERS) {
  describe(`over ${kind}`, () => {
    it("a request has one line, with the values of its query redacted", async () => {
      await using caller = await openCaller(kind, system);
      const url = via("/a/b?access=se+cret&x=1&bare");
      await caller.call({ method: "PUT", path: url, body: "five!" });
      const [line, ...more] = await nextLines(1);
      assert.ok(line);
      assert.deepEqual(
        [checked(line), more],
        [
          {
            way: "route",
            method: "PUT",
            path: via("/a/b?access=*&x=*&*"),
            status: 200,
            code: "ok",
            ...ADMIN,
            ...AT,
            bytesIn: 5,
            bytesOut: 12,
            spans: 3,
            isPlaced: true,
          },
          [],
        ],
      );
    });

    it("what is refused has a line with its code, and the id of the response", async () => {
      await using caller = await openCaller(kind, system);
      const unknown = await caller.call({ path: via("/", "none") });
      const stranger = await caller.call({ path: via("/"), headers: { authorization: "Bearer no" } });
      const lines = await nextLines(2);
      assert.deepEqual(
        lines.map(({ id, status, code, credential, way }) => ({ id, status, code, credential, way })),
        [
          {
            id: unknown.headers["x-request-id"],
            status: 404,
            code: "target_unknown",
            credential: "admin",
            way: "route",
          },
          {
            id: stranger.headers["x-request-id"],
            status: 401,
            code: "unauthenticated",
            credential: undefined,
            way: "route",
          },
        ],
      );
    });

    it("the API has lines with the credential", async () => {
      await using caller = await openCaller(kind, system);
      await caller.call({ path: "/api/v1/runners" });
      await caller.call({ path: "/api/v1/nothing-here" });
      const lines = await nextLines(2);
      assert.deepEqual(
        lines.map(({ way, path, status, code, credential }) => [way, path, status, code, credential]),
        [
          ["api", "/api/v1/runners", 200, "ok", "admin"],
          ["api", "/api/v1/nothing-here", 404, "not_found", "admin"],
        ],
      );
    });

    it("a WebSocket has one line, when it has closed, and so has one that is refused", async () => {
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
      await using caller = await openWebSocket(kind, system, via("/ws?access_token=s"), { headers });
      caller.socket.send("hello");
      await caller.message();
      caller.socket.close();
      await caller.closed;
      const [line] = await nextLines(1);
      assert.ok(line);
      const { bytesIn, bytesOut, ...rest } = checked(line) as Record<string, unknown>;
      assert.deepEqual(rest, {
        way: "websocket",
        method: kind === "HTTP/1.1" ? "GET" : "CONNECT",
        path: via("/ws?access_token=*"),
        status: kind === "HTTP/1.1" ? 101 : 200,
        code: "ok",
        ...ADMIN,
        ...AT,
        spans: 2,
        isPlaced: true,
      });
      // A frame of the caller's is masked.
      assert.deepEqual([Number(bytesIn) >= 11, Number(bytesOut) >= 7], [true, true]);
      const { status } = await refusedWebSocket(kind, system, via("/ws", "none"), { headers });
      const [refused] = await nextLines(1);
      assert.deepEqual(
        [refused?.["status"], refused?.["code"], refused?.["way"]],
        [status, "target_unknown", "websocket"],
      );
    });
  });
}

it("a CONNECT has one line, and so has one that is refused", async () => {
  const field = `Proxy-Authorization: Bearer ${ADMIN_TOKEN}\r\n`;
  const connect = `CONNECT ${TARGET}.${RUNNER} HTTP/1.1\r\nHost: x\r\n`;
  const request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const { text } = await exchangeRaw(system.controlPlane.port, `${connect}${field}\r\n${request}`);
  assert.match(text, /twelve bytes/);
  await exchangeRaw(system.controlPlane.port, `${connect}\r\n`);
  const [line, refused] = await nextLines(2);
  assert.deepEqual(
    [line, refused].map((each) => [each?.["way"], each?.["status"], each?.["code"], each?.["credential"]]),
    [
      ["connect", 200, "ok", "admin"],
      ["connect", 407, "unauthenticated", undefined],
    ],
  );
  assert.ok(Number(line?.["bytesOut"]) > 12);
  assert.equal(line?.["path"], `${TARGET}.${RUNNER}`);
});

it("a dial of the library has one line", async () => {
  const socket = await system.controlPlane.dial(RUNNER, TARGET);
  socket.end("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  await ending(socket);
  await assert.rejects(system.controlPlane.dial(RUNNER, "none"));
  const [line, refused] = await nextLines(2);
  assert.deepEqual(
    [line, refused].map((each) => [each?.["way"], each?.["runner"], each?.["code"]]),
    [
      ["dial", RUNNER, "ok"],
      ["dial", RUNNER, "target_unknown"],
    ],
  );
  assert.ok(Number(line?.["bytesIn"]) > 40 && Number(line?.["bytesOut"]) > 12);
});

it("a caller that leaves early has a line that says so", async () => {
  await using caller = await openCaller("HTTP/1.1", system);
  const call = caller.open({ path: via("/hang") });
  call.request.on("error", () => {});
  call.request.end();
  await eventually(() => hanging === 1, "the request at the target");
  call.abort();
  const [line] = await nextLines(1);
  assert.deepEqual([line?.["code"], line?.["status"]], ["aborted", undefined]);
});

describe("turnabout serve", () => {
  it("writes it to standard output, which holds nothing else", async () => {
    await using serve = await startServe();
    await fetch(`${serve.url}/healthz`);
    const line = await serve.output.find((text) => text.includes("/healthz"), "the line");
    assert.equal((JSON.parse(line) as Line)["status"], 200);
    assert.ok(!serve.stderr.includes("/healthz"));
    assert.ok(serve.output.all.every((text) => text.startsWith('{"time":')));
    for (const { time } of serve.lines.all) assert.match(String(time), ISO_TIME);
  });

  it("writes it to a file that SIGHUP opens again, through a supervisor too, or not at all", async () => {
    const file = tempPath(".log");
    await using serve = await startServe(["--access-log", file, "--supervise"]);
    await fetch(`${serve.url}/healthz`);
    await eventually(() => linesIn(file).length === 1, "the first line");
    renameSync(file, `${file}.1`);
    serve.signal("SIGHUP");
    await serve.logged("access log opened again");
    await fetch(`${serve.url}/readyz`);
    await eventually(() => linesIn(file).length === 1, "a line in the new file");
    await serve.end();
    assert.deepEqual(
      [...linesIn(`${file}.1`), ...linesIn(file)].map((line) => line["path"]),
      ["/healthz", "/readyz"],
    );
    assert.equal(serve.stdout, "");
  });
});

it("an agent that connects makes one line of the log for each connection, and one that leaves names its credential", async () => {
  const { log, lines } = keptLog();
  const logged = await startSystem({ controlPlane: { log }, agent: { connections: 2 } });
  const text = ({ level, message }: KeptLine): boolean => level !== "debug" && message === "agent connected";
  await lines.findNth(2, text, "both connections");
  const important = lines.all.filter(({ level }) => level !== "debug");
  assert.deepEqual(
    important.map(({ message, fields }) => [message, fields["runners"], fields["credential"]]),
    [
      ["agent connected", [RUNNER], "admin"],
      ["agent connected", [RUNNER], "admin"],
    ],
  );
  await logged.agent.close();
  const lost = await lines.find(({ fields }) => fields["type"] === "lost", "the loss");
  assert.deepEqual([lost.level, lost.fields["credential"]], ["info", "admin"]);
  await logged.close();
});
