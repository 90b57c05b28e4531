/** The bridge where something fails, a client, the control plane, a credential or a target; and where a fleet moves. */
import assert from "node:assert/strict";
import net from "node:net";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { createAgent } from "../../src/agent/agent.ts";
import { startServe } from "../support/commands.ts";
import type { ServeCommand } from "../support/commands.ts";
import { ending, next, within } from "../support/events.ts";
import { call, errorCode, listRunners, open, runnersUntil, targetUrl } from "../support/http.ts";
import type { HttpResponse, RunnerListing } from "../support/http.ts";
import { missing } from "../support/parts.ts";
import { promptly } from "../support/stopwatch.ts";
import { refusingAddress, startHttpTarget, startTarget } from "../support/target.ts";
import type { TestTarget } from "../support/target.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { connectClient, connected, issueFleetToken, PART, startClient } from "./revdial-stand.ts";

const AT_ONCE_MS = 1_000;
const EMPTY_RESPONSE = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
/** More than all buffers on the way hold. */
const STALLING_BYTES = 40_000_000;
/** As long as nothing has been read, no more will be. */
const STALLED_MS = 200;
/** The client waits for a second, from the PING that a part of the upload is sent with. */
const PONG_DROPPED_MS = 1_200;
/** 50 requests a second. */
const EVERY_MS = 20;

/** `/endless` begins a body that goes up to the close, and goes on. Everything else has `name` as its body. */
async function startService(name: string): Promise<TestTarget> {
  return startHttpTarget((request, response) => {
    if (request.url !== "/endless") return void response.end(name);
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { connection: "close" });
    response.write("begun");
  });
}

function rowOf(rows: RunnerListing[], runner: string): RunnerListing | undefined {
  return rows.find(({ id }) => id === runner);
}

describe("a RevDial client at turnabout serve, where something fails", { skip: missing(PART) }, () => {
  let serve: ServeCommand;
  let token: string;
  before(async () => {
    serve = await startServe();
    token = await issueFleetToken(serve.url, "fleet");
  });
  after(async () => serve[Symbol.asyncDispose]());

  it("that is killed: a body up to its close is not complete, and the runner's next client serves", async () => {
    const runner = "sandbox-killed";
    await using service = await startService("up");
    const options = { runner, local: service.address, token };
    const client = await connectClient(serve.url, options);
    const via = (path: string) => targetUrl(serve.url, runner, "screenshot", path);
    const response = await open(via("/endless"));
    const end = ending(response);
    await client.end("SIGKILL");
    assert.equal((await end).kind, "error");
    await runnersUntil(serve.url, (rows) => rowOf(rows, runner)?.state === "reconnecting", "the loss");
    const waiting = call(via("/"));
    await runnersUntil(serve.url, (rows) => rowOf(rows, runner)?.waitingDials === 1, "a dial that waits");
    await connectClient(serve.url, options);
    assert.equal((await waiting).body, "up");
  });

  it("whose token is revoked: all that it has open ends at once, and it is refused", async () => {
    const runner = "sandbox-revoked";
    await using service = await startService("up");
    const own = await issueFleetToken(serve.url, "revoked");
    const client = await connectClient(serve.url, { runner, local: service.address, token: own });
    const response = await open(targetUrl(serve.url, runner, "screenshot", "/endless"));
    const end = ending(response);
    assert.equal((await call(`${serve.url}/api/v1/tokens/revoked`, { method: "DELETE" })).status, 204);
    assert.equal((await promptly(end, "the end of the response", AT_ONCE_MS)).kind, "error");
    await client.logged("status 401");
    assert.notEqual(rowOf(await listRunners(serve.url), runner)?.state, "connected");
  });

  it("whose target refuses, and one that never picks up", async () => {
    const closed = await refusingAddress();
    await connectClient(serve.url, { runner: "sandbox-closed", local: closed, token });
    for (let n = 0; n < 5; n += 1) {
      const response = await call(targetUrl(serve.url, "sandbox-closed", "screenshot"));
      assert.deepEqual([response.status, errorCode(response)], [502, "target_closed"]);
    }
    const mute = { runner: "sandbox-mute", local: closed, token, args: ["-mute"] };
    await connectClient(serve.url, mute);
    const response = await call(targetUrl(serve.url, "sandbox-mute", "screenshot"), {
      headers: { "turnabout-timeout": "1" },
    });
    assert.deepEqual([response.status, errorCode(response)], [504, "response_timeout"]);
    const row = rowOf(await listRunners(serve.url), "sandbox-mute");
    assert.deepEqual([row?.state, row?.connections[0]?.streams], ["connected", 0]);
  });

  it("of which there are two: the newer serves, the older stands by, and another credential is refused", async () => {
    const runner = "sandbox-twice";
    await using old = await startService("old");
    await using young = await startService("young");
    const elder = await connectClient(serve.url, { runner, local: old.address, token });
    const get = async () => (await call(targetUrl(serve.url, runner, "screenshot"))).body;
    assert.equal(await get(), "old");
    const younger = startClient(serve.url, { runner, local: young.address, token });
    await younger.logged("connected");
    for (let body = ""; body !== "young";) body = await get();
    const other = await issueFleetToken(serve.url, "other");
    const foreign = startClient(serve.url, { runner, local: young.address, token: other });
    await foreign.logged("status 409");
    await younger.end("SIGKILL");
    for (let body = ""; body !== "old";) body = await get();
    assert.equal(elder.lines.all.filter((line) => line.includes("connected")).length, 1, "no storm");
  });

  it("that moves from the bridge to a native agent and back, under 50 requests a second, without a failed GET", async () => {
    const runner = "sandbox-moving";
    await using target = await startHttpTarget((request, response) => void response.end(request.url));
    const url = targetUrl(serve.url, runner, "screenshot");
    const options = { runner, local: target.address, token };
    const bridge = await connectClient(serve.url, options);

    const load = startLoad(url);
    // Side by side: the new container first, then the end of the old one.
    const native = createAgent({
      server: serve.url,
      token: { value: token },
      runners: { [runner]: { screenshot: target.address } },
      drainMs: 1_000,
    });
    await connected(serve.url, runner, "ptth");
    await load.more(10);
    await bridge.end("SIGTERM");
    await load.more(10);
    const again = startClient(serve.url, options);
    await again.logged("connected");
    await load.more(10);
    await native.close();
    await connected(serve.url, runner, "revdial");
    await load.more(10);
    // One in the other's place: dials wait for the new one.
    await again.end("SIGTERM");
    const restarted = createAgent({
      server: serve.url,
      token: { value: token },
      runners: { [runner]: { screenshot: target.address } },
      drainMs: 1_000,
    });
    await connected(serve.url, runner, "ptth");
    await load.more(10);
    const responses = await load.stop();
    await restarted.close();
    assert.deepEqual(
      responses.filter(({ status, body }, n) => status !== 200 || body !== `/${n}`),
      [],
    );
    assert.ok(responses.length > 50, `${responses.length} requests`);
  });

  it("that drops a PONG behind data that nobody reads: an upload goes on when its response is read on", async () => {
    const body = Buffer.alloc(20_000);
    const uploaded = Promise.withResolvers<void>();
    let download: Socket | undefined;
    await using target = await startTarget((socket) => {
      let bytes = 0;
      socket.on("data", (chunk: Buffer) => {
        if (chunk.toString("latin1", 0, 3) === "GET") return void socket.end(EMPTY_RESPONSE);
        if (bytes === 0) socket.write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        if (bytes === 0) socket.write(Buffer.alloc(STALLING_BYTES));
        download = socket;
        bytes += chunk.length;
        if (bytes > body.length) uploaded.resolve();
      });
    });
    const dialect = "wolf-revdial-client";
    await connectClient(serve.url, { runner: "sandbox-stalled", local: target.address, token, dialect });
    // From its response it is known that the target's version streams requests.
    assert.equal((await call(targetUrl(serve.url, "sandbox-stalled", "screenshot"))).status, 200);
    const caller = net.connect(serve.port, "127.0.0.1");
    caller.write(
      [
        `POST ${new URL(targetUrl(serve.url, "sandbox-stalled", "screenshot")).pathname} HTTP/1.1`,
        "Host: localhost",
        `Authorization: Bearer ${ADMIN_TOKEN}`,
        `Content-Length: ${1 + body.length}`,
        "",
        "x",
      ].join("\r\n"),
    );
    await next(caller, "data");
    caller.pause();
    for (let unsent = -1; unsent !== download?.writableLength;) {
      unsent = download?.writableLength ?? 0;
      await delay(STALLED_MS);
    }
    caller.write(body);
    await delay(PONG_DROPPED_MS);
    caller.resume();
    await within(uploaded.promise, "the end of the upload");
    caller.destroy();
  });

  it("comes back to a control plane that was killed", async () => {
    const runner = "sandbox-restarted";
    await using service = await startService("up");
    const options = { runner, local: service.address, token: ADMIN_TOKEN };
    const client = await connectClient(serve.url, options);
    await serve.end("SIGKILL");
    await client.logged("ended: ");
    const restarted = await startServe([], { port: serve.port });
    await connected(restarted.url, runner, "revdial");
    assert.equal((await call(targetUrl(restarted.url, runner, "screenshot"))).body, "up");
  });
});

interface Load {
  /** Resolves when as many further requests have been sent. */
  more(count: number): Promise<void>;
  /** All responses, in the order of their requests. */
  stop(): Promise<HttpResponse[]>;
}

/** Requests at their times, whether or not those before have their responses. */
function startLoad(url: string): Load {
  const responses: Promise<HttpResponse>[] = [];
  const timer = setInterval(() => {
    const response = call(`${url}${responses.length}`);
    response.catch(() => {}); // seen by stop()
    responses.push(response);
  }, EVERY_MS);
  return {
    more: async (count) => {
      const until = responses.length + count;
      while (responses.length < until) await delay(EVERY_MS);
    },
    stop: async () => {
      clearInterval(timer);
      return Promise.all(responses);
    },
  };
}
