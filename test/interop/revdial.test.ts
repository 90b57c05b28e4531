/**
 * The bridge: RevDial clients, which know nothing of Turnabout, at `turnabout serve`. The client is ours, in Go, and behaves
 * as Helix's two commands do (`revdial/`).
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import type { IncomingMessage } from "node:http";
import { after, before, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import { createWolfDouble } from "../../src/demo/wolf/double.ts";
import { openCaller, via } from "../support/callers.ts";
import type { CallerTo } from "../support/callers.ts";
import { startServe } from "../support/commands.ts";
import type { ServeCommand } from "../support/commands.ts";
import { next, within } from "../support/events.ts";
import { call, open, targetUrl } from "../support/http.ts";
import { missing } from "../support/parts.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { startHttpTarget } from "../support/target.ts";
import { tempPath } from "../support/temp.ts";
import { openWebSocket } from "../support/websockets.ts";
import { connectClient, connected, issueFleetToken, PART } from "./revdial-stand.ts";
import type { Dialect } from "./revdial-stand.ts";

const DIALECTS: readonly Dialect[] = ["revdial-client", "wolf-revdial-client"];
const PARALLEL_DIALS = 200;

/** What Wolf requires. */
const LOBBY = {
  profile_id: "helix-sessions",
  name: "a",
  multi_user: true,
  stop_when_everyone_leaves: false,
  video_settings: {
    width: 1280,
    height: 720,
    refresh_rate: 60,
    wayland_render_node: "",
    runner_render_node: "",
    video_producer_buffer_caps: "video/x-raw",
  },
  audio_settings: { channel_count: 2 },
  runner_state_folder: "a",
  runner: {
    type: "docker",
    name: "a",
    image: "a",
    mounts: [],
    env: [],
    devices: [],
    ports: [],
    base_create_json: "{}",
  },
};

describe("a RevDial client at turnabout serve", { skip: missing(PART) }, () => {
  let serve: ServeCommand;
  let token: string;
  before(async () => {
    serve = await startServe();
    token = await issueFleetToken(serve.url, "fleet");
  });
  after(async () => serve[Symbol.asyncDispose]());
  const to = (): CallerTo => ({ controlPlane: { port: serve.port }, pki: undefined });

  for (const dialect of DIALECTS) {
    it(`serves Wolf's apps, lobbies and events: ${dialect}`, async () => {
      await using wolf = await createWolfDouble({ socketPath: tempPath() });
      const runner = `wolf-${dialect}`;
      const local = `unix://${wolf.socketPath}`;
      await using _client = await connectClient(serve.url, { runner, local, token, dialect });
      const row = await connected(serve.url, runner);
      assert.equal(row.carrier, "revdial");
      assert.deepEqual(
        row.targets.map(({ name }) => name),
        ["wolf"],
      );
      const at = (path: string) => targetUrl(serve.url, runner, "wolf", path);
      const apps = JSON.parse((await call(at("/api/v1/apps"))).body) as { apps: { title: string }[] };
      assert.equal(apps.apps[0]?.title, "Wolf UI");
      const events = await open(at("/api/v1/events"));
      const event = next<[Buffer]>(events, "data");
      const body = JSON.stringify(LOBBY);
      const created = await call(at("/api/v1/lobbies/create"), { method: "POST", body });
      assert.equal(created.status, 200, created.body);
      assert.match((await event)[0].toString(), /CreateLobbyEvent/);
      events.destroy();
      await within(wolf.whenIdle(), "the end of all of Wolf's connections");
    });

    it(`passes bodies of known and unknown length whole, both ways: ${dialect}`, async () => {
      const download = randomBytes(3_000_000);
      await using target = await startHttpTarget((request, response) => {
        if (request.url === "/download") return void response.end(download);
        void sha256(request).then((hash) => response.end(hash));
      });
      const runner = `sandbox-${dialect}`;
      const local = target.address;
      await using _client = await connectClient(serve.url, { runner, local, token, dialect });
      const at = (path: string) => targetUrl(serve.url, runner, "screenshot", path);
      assert.equal(await sha256(await open(at("/download"))), hashOf(download));
      const upload = randomBytes(dialect === "revdial-client" ? 4_000_000 : 200_000);
      const [known, unknown] = await Promise.all([
        call(at("/upload"), { method: "POST", body: upload }),
        uploadInPieces(at("/upload"), upload),
      ]);
      assert.deepEqual([known.body, unknown], [hashOf(upload), hashOf(upload)]);
    });

    it(`gives each of ${PARALLEL_DIALS} parallel dials its own connection: ${dialect}`, async () => {
      // One request a connection, as Wolf.
      await using target = await startHttpTarget((request, response) => {
        response.shouldKeepAlive = false;
        response.end(request.url);
      });
      const runner = `sandbox-parallel-${dialect}`;
      const local = target.address;
      await using client = await connectClient(serve.url, { runner, local, token, dialect });
      // All in one packet: so are their announcements to the client.
      await using caller = await openCaller("HTTP/2 by prior knowledge", to());
      const paths = Array.from({ length: PARALLEL_DIALS }, (_, n) => `/${n}`);
      const responses = await Promise.all(
        paths.map(async (path) => caller.call({ path: via(path, "screenshot", runner) })),
      );
      assert.deepEqual(
        responses.map(({ text }) => text),
        paths,
      );
      assert.deepEqual(
        client.lines.all.filter((line) => !line.includes("connected")),
        [],
      );
    });

    it(`serves WebSockets and the forward proxy: ${dialect}`, async () => {
      await using target = await startHttpTarget(
        (request, response) => void response.end(request.headers.host),
      );
      const sockets = new WebSocketServer({ server: target.http });
      sockets.on("connection", (socket) => {
        socket.on("message", (data: Buffer) => socket.send(data));
      });
      const runner = `desktop-${dialect}`;
      const local = target.address;
      await using _client = await connectClient(serve.url, { runner, local, token, dialect });
      const [name = ""] = (await connected(serve.url, runner)).targets.map((target) => target.name);
      const path = new URL(targetUrl(serve.url, runner, name, "/ws")).pathname;
      {
        await using caller = await openWebSocket("HTTP/1.1", to(), path);
        const message = randomBytes(100_000);
        caller.socket.send(message);
        assert.deepEqual((await caller.message()).data, message);
        caller.socket.close(4000, "superseded");
        assert.deepEqual(await caller.closed, { code: 4000, reason: "superseded" });
      }
      await using caller = await openCaller("HTTP/1.1", to());
      const headers = { "proxy-authorization": `Bearer ${ADMIN_TOKEN}` };
      const response = await caller.call({ path: `http://${name}.${runner}/`, headers });
      assert.deepEqual([response.status, response.text], [200, `${name}.${runner}`]);
    });
  }
});

async function sha256(stream: IncomingMessage): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of stream as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest("hex");
}

function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Without a length. */
async function uploadInPieces(url: string, bytes: Buffer): Promise<string> {
  const request = http.request(url, {
    agent: false,
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  const response = next<[IncomingMessage]>(request, "response");
  for (let at = 0; at < bytes.length; at += 50_000) request.write(bytes.subarray(at, at + 50_000));
  request.end();
  let text = "";
  for await (const chunk of (await response)[0] as AsyncIterable<Buffer>) text += chunk.toString();
  return text;
}
