/** Wolf's deviations from HTTP, each over a real Unix socket. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openSocket, rawExchange, readUntil } from "../raw-exchange.ts";
import type { RawResponse } from "../raw-exchange.ts";
import { createWolfDouble } from "./double.ts";
import type { WolfDouble, WolfDoubleOptions } from "./double.ts";
import { blobSha256 } from "./routes/double-own.ts";

let folder = "";
let names = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "turnabout-wolf-"));
});

after(() => rm(folder, { recursive: true, force: true }));

async function withWolf(
  run: (wolf: WolfDouble) => Promise<void>,
  options: Partial<WolfDoubleOptions> = {},
): Promise<void> {
  const wolf = await createWolfDouble({ socketPath: join(folder, `${names++}.sock`), ...options });
  try {
    await run(wolf);
  } finally {
    await wolf.close();
  }
  assert.equal(wolf.openConnections, 0);
  assert.equal(wolf.eventStreams, 0);
}

function get(wolf: WolfDouble, path: string): Promise<RawResponse> {
  return rawExchange({ path: wolf.socketPath }, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
}

function post(wolf: WolfDouble, path: string, body: string | object): Promise<RawResponse> {
  const bytes = typeof body === "string" ? body : JSON.stringify(body);
  const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(bytes)}\r\n\r\n`;
  return rawExchange({ path: wolf.socketPath }, head + bytes);
}

const lobby = {
  profile_id: "p",
  name: "l",
  multi_user: true,
  stop_when_everyone_leaves: false,
  video_settings: {},
  audio_settings: {},
  runner_state_folder: "f",
  runner: { type: "process", run_cmd: "sleep 1" },
};

test("responds with HTTP/1.0, a length and JSON, and closes by itself", () =>
  withWolf(async (wolf) => {
    const { statusLine, headers, body } = await get(wolf, "/api/v1/apps");
    assert.equal(statusLine, "HTTP/1.0 200 OK");
    assert.equal(headers.get("content-type"), "application/json");
    assert.equal(headers.get("content-length"), String(body.length));
    assert.equal(headers.has("connection"), false);
    await wolf.whenIdle();
  }));

test("has the reason OK for an unknown path, too, with 404 and an empty body", () =>
  withWolf(async (wolf) => {
    const { statusLine, headers, body } = await get(wolf, "/nowhere");
    assert.equal(statusLine, "HTTP/1.0 404 OK");
    assert.equal(headers.get("content-length"), "0");
    assert.equal(body.length, 0);
  }));

test("has the reason OK for a 500, too, with the error in JSON", () =>
  withWolf(async (wolf) => {
    const { statusLine, body } = await post(wolf, "/api/v1/apps/delete", "{}");
    assert.equal(statusLine, "HTTP/1.0 500 OK");
    assert.deepEqual(JSON.parse(String(body)), { success: false, error: "Field named 'id' not found." });
  }));

test("responds only to the first of two pipelined requests", () =>
  withWolf(async (wolf) => {
    const one = "GET /api/v1/profiles HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
    const { body } = await rawExchange({ path: wolf.socketPath }, one + one);
    assert.equal(String(body).match(/success/g)?.length, 1);
    assert.equal(wolf.requests.length, 1);
  }));

test("refuses chunked bodies in plain text", () =>
  withWolf(async (wolf) => {
    const request =
      "POST /api/v1/apps/delete HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    const { statusLine, body } = await rawExchange({ path: wolf.socketPath }, request);
    assert.equal(statusLine, "HTTP/1.0 500 OK");
    assert.equal(String(body), "Chunked encoding not supported, use HTTP/1.0 instead");
  }));

test("treats an unknown method as GET, and responds 404 to a wrong one that it knows", () =>
  withWolf(async (wolf) => {
    const request = (method: string): string => `${method} /api/v1/apps HTTP/1.1\r\n\r\n`;
    const brewed = await rawExchange({ path: wolf.socketPath }, request("BREW"));
    assert.equal(brewed.statusLine, "HTTP/1.0 200 OK");
    const deleted = await rawExchange({ path: wolf.socketPath }, request("DELETE"));
    assert.equal(deleted.statusLine, "HTTP/1.0 404 OK");
    assert.deepEqual(
      wolf.requests.map(({ method, rawMethod }) => [method, rawMethod]),
      [
        ["GET", "BREW"],
        ["DELETE", "DELETE"],
      ],
    );
  }));

test("waits for a body that arrives in pieces", () =>
  withWolf(async (wolf) => {
    const socket = await openSocket({ path: wolf.socketPath });
    const response = readUntil(socket, "}");
    for (const part of [
      "POST /api/v1/apps/del",
      "ete HTTP/1.1\r\nContent-Length: 10\r",
      '\n\r\n{"id"',
      ':"x"}',
    ]) {
      await new Promise((resolve) => socket.write(part, resolve));
    }
    assert.match(await response, /"success":true/);
  }));

test("never responds to a successful runners/start or to a pull that does not parse", () =>
  withWolf(async (wolf) => {
    const session_id = wolf.state.sessions[0]?.client_id;
    const started = await post(wolf, "/api/v1/runners/start", { session_id, runner: {} });
    assert.equal(started.statusLine, "");
    const pulled = await post(wolf, "/api/v1/docker/images/pull", "not JSON");
    assert.equal(pulled.statusLine, "");
    const unknown = await post(wolf, "/api/v1/runners/start", { session_id: "1", runner: {} });
    assert.equal(unknown.statusLine, "HTTP/1.0 500 OK");
  }));

test("streams a pull as JSON lines until the close, without a length", () =>
  withWolf(async (wolf) => {
    const { statusLine, headers, body } = await post(wolf, "/api/v1/docker/images/pull", {
      image_name: "new",
    });
    assert.equal(statusLine, "HTTP/1.0 200 OK");
    assert.equal(headers.has("content-length"), false);
    const lines = String(body).split("\r\n");
    assert.equal(lines.pop(), "");
    assert.deepEqual(JSON.parse(lines.at(-1) ?? ""), { success: true });
    assert.ok(lines.length > 2);
    assert.equal(
      (await get(wolf, "/api/v1/docker/images/inspect?image_name=new")).statusLine,
      "HTTP/1.0 200 OK",
    );
  }));

test("all other requests wait while a lobby is created", async () => {
  const arrived: string[] = [];
  const { promise: creating, resolve: created } = Promise.withResolvers<void>();
  const { promise: listing, resolve: listed } = Promise.withResolvers<void>();
  const onRequest: NonNullable<WolfDoubleOptions["onRequest"]> = ({ path }) => {
    arrived.push(path);
    if (path === "/api/v1/lobbies/create") created();
    else listed();
  };
  await withWolf(
    async (wolf) => {
      const finished: string[] = [];
      const create = post(wolf, "/api/v1/lobbies/create", lobby).then(() => finished.push("create"));
      await creating;
      const list = get(wolf, "/api/v1/lobbies").then(({ body }) => {
        finished.push("list");
        return body;
      });
      await listing;
      assert.deepEqual(finished, []);
      await create;
      // The listing was read before the lobby existed, and yet it contains it: it had to wait.
      assert.equal(JSON.parse(String(await list)).lobbies.length, 1);
      assert.deepEqual(finished, ["create", "list"]);
    },
    { blockLobbyCreateMs: 100, onRequest },
  );
});

test("a request may block for a time of its own, and close ends it", async () => {
  const { promise: bothArrived, resolve } = Promise.withResolvers<void>();
  let requests = 0;
  await withWolf(
    async (wolf) => {
      const started = Date.now();
      const create = post(wolf, "/api/v1/lobbies/create", { ...lobby, double_block_ms: 10_000 });
      const list = get(wolf, "/api/v1/lobbies");
      await bothArrived;
      await wolf.close();
      assert.equal((await create).statusLine, "");
      assert.equal((await list).statusLine, "");
      assert.ok(Date.now() - started < 10_000);
    },
    { onRequest: () => ++requests === 2 && resolve() },
  );
});

test("holds back responses and events until it is released", () =>
  withWolf(async (wolf) => {
    const events = await openSocket({ path: wolf.socketPath });
    const opened = readUntil(events, "\r\n\r\n");
    events.write("GET /api/v1/events HTTP/1.1\r\n\r\n");
    await opened;
    const release = wolf.hold();
    let responded = false;
    const response = get(wolf, "/api/v1/apps").then(() => (responded = true));
    wolf.emitEvent("held", 1);
    const event = readUntil(events, "event: held");
    // The response is sent directly, off the thread: proof that the double is alive and that time has passed.
    await post(wolf, "/double/sink", "x");
    assert.equal(responded, false);
    release();
    await event;
    await response;
    events.destroy();
    await wolf.whenIdle();
  }));

test("sends events with Wolf's head and framing, and keep-alive comments", () =>
  withWolf(
    async (wolf) => {
      const events = await openSocket({ path: wolf.socketPath });
      const opened = readUntil(events, ":keepalive\n\n");
      events.write("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
      const head = await opened;
      assert.ok(
        head.startsWith("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\nConnection: keep-alive\r\n"),
      );
      assert.match(head, /\r\nCache-Control: no-cache\r\n\r\n/);
      assert.doesNotMatch(head, /Content-Length/i);
      const name = "wolf::core::events::StreamSession";
      const framed = readUntil(events, `event: ${name}\ndata: {"client_id":"18446744073709551615"}\n\n`);
      wolf.emitEvent(name, { client_id: "18446744073709551615" });
      await framed;
      assert.equal(wolf.eventStreams, 1);
      events.destroy();
      await wolf.whenIdle();
    },
    { sseKeepaliveMs: 10 },
  ));

test("notices an event reader that left, although it never reads", () =>
  withWolf(async (wolf) => {
    const events = await openSocket({ path: wolf.socketPath });
    const opened = readUntil(events, "\r\n\r\n");
    events.write("GET /api/v1/events HTTP/1.1\r\n\r\n");
    await opened;
    events.destroy();
    await wolf.whenIdle();
    assert.equal(wolf.eventStreams, 0);
  }));

test("continues to send events to a reader that has half-closed", () =>
  withWolf(
    async (wolf) => {
      const events = await openSocket({ path: wolf.socketPath });
      const opened = readUntil(events, ":keepalive");
      events.end("GET /api/v1/events HTTP/1.1\r\n\r\n");
      await opened;
      const event = readUntil(events, "event: late");
      wolf.emitEvent("late", {});
      await event;
      events.destroy();
      // Its FIN has been received already, so only the next write shows that it is closed, as with the real Wolf.
      await wolf.whenIdle();
    },
    { sseKeepaliveMs: 10 },
  ));

test("closes without a response when the request is invalid or truncated", () =>
  withWolf(async (wolf) => {
    const nonsense = await rawExchange({ path: wolf.socketPath }, "hello\r\n\r\n");
    assert.equal(nonsense.statusLine, "");
    const socket = await openSocket({ path: wolf.socketPath });
    socket.resume();
    socket.end("POST /api/v1/apps/delete HTTP/1.1\r\nContent-Length: 10\r\n\r\n{");
    await once(socket, "close");
    assert.equal(socket.bytesRead, 0);
  }));

test("sends a blob of any size until the close, and hashes what it is sent", () =>
  withWolf(async (wolf) => {
    const bytes = 1_000_001;
    const blob = await get(wolf, `/double/blob?bytes=${bytes}`);
    assert.equal(blob.headers.has("content-length"), false);
    assert.equal(blob.body.length, bytes);
    const sha256 = createHash("sha256").update(blob.body).digest("hex");
    assert.equal(sha256, blobSha256(bytes));
    const sunk = await post(
      wolf,
      "/double/sink",
      blob.body.toString("latin1").replaceAll(/[^\0-\x7f]/g, "x"),
    );
    assert.equal(JSON.parse(String(sunk.body)).bytes, bytes);
  }));

test("remembers the last thousand requests only", () =>
  withWolf(async (wolf) => {
    for (let i = 0; i < 1_005; i++) await get(wolf, `/api/v1/apps?i=${i}`);
    assert.equal(wolf.requests.length, 1_000);
    assert.equal(wolf.requests[0]?.query, "i=5");
  }));

test("removes its socket file when it closes, and can be closed twice", () =>
  withWolf(async (wolf) => {
    await wolf.close();
    await assert.rejects(openSocket({ path: wolf.socketPath }), { code: "ENOENT" });
  }));
