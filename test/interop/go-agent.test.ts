/**
 * An agent that shares no code with ours: golang.org/x/net's stock HTTP/2 server, written from docs/protocol.md. What that
 * page says a stock server can do is shown here, and what it cannot.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { afterEach, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import type { ControlPlane } from "../../src/control/control-plane.ts";
import { EventLog } from "../support/event-log.ts";
import { ending, eventually, next, within } from "../support/events.ts";
import { call, errorCode } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { missing, partPath } from "../support/parts.ts";
import { createPki, issueServer } from "../support/pki.ts";
import { ADMIN_TOKEN, isConnected, startControlPlane } from "../support/system.ts";
import { refusingAddress, startEchoTarget, startHttpTarget, startTarget } from "../support/target.ts";
import { tempPath } from "../support/temp.ts";
import { openWebSocket, refusedWebSocket } from "../support/websockets.ts";

afterEach(() => assertNothingOpen());

const RUNNER = "go";
const MAX_STREAMS = 100;

interface GoAgent extends AsyncDisposable {
  controlPlane: ControlPlane;
  url: string;
  /** What the agent has logged. */
  lines: EventLog<string>;
  exited: Promise<number | null>;
  dial(target: string): Promise<Duplex>;
  /** URL of the route to a target. */
  via(target: string, path?: string): string;
  kill(signal: NodeJS.Signals): void;
}

async function start(targets: Record<string, string>, carrier: "ptth" | "rh2" = "ptth"): Promise<GoAgent> {
  const pki = carrier === "rh2" ? await createPki() : undefined;
  const controlPlane = await startControlPlane(pki === undefined ? {} : { tls: await issueServer(pki) });
  const caFile = tempPath(".pem");
  if (pki !== undefined) writeFileSync(caFile, pki.ca);
  const args = [
    "--server",
    `${pki === undefined ? "127.0.0.1" : "localhost"}:${controlPlane.port}`,
    "--token",
    ADMIN_TOKEN,
    "--runner",
    RUNNER,
    "--carrier",
    carrier,
    ...(pki === undefined ? [] : ["--ca", caFile]),
    ...Object.entries(targets).flatMap(([name, address]) => ["--target", `${name}=${address}`]),
  ];
  const child = spawn(partPath("turnabout-go-agent"), args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, GODEBUG: "http2xconnect=1" }, // Extended CONNECT is behind a switch there
  });
  const exited = new Promise<number | null>((resolve) => void child.once("close", resolve));
  const lines = new EventLog<string>();
  createInterface({ input: child.stderr }).on("line", lines.push);
  const scheme = pki === undefined ? "http" : "https";
  const url = `${scheme}://localhost:${controlPlane.port}`;
  const dispose = async (): Promise<void> => {
    child.kill("SIGKILL");
    await within(exited, "the end of the agent");
    await controlPlane.close();
  };
  try {
    await eventually(() => isConnected(controlPlane, RUNNER), "registration", 20_000);
  } catch (error) {
    await dispose();
    throw new Error(`not registered: ${lines.all.join(" / ")}`, { cause: error });
  }
  return {
    controlPlane,
    url,
    lines,
    exited,
    dial: async (target) => {
      const stream = await controlPlane.dial(RUNNER, target);
      stream.on("error", () => {}); // permanently
      return stream;
    },
    via: (target, path = "/") => `${url}/api/v1/runners/${RUNNER}/targets/${target}${path}`,
    kill: (signal) => void child.kill(signal),
    [Symbol.asyncDispose]: dispose,
  };
}

async function assertEchoes(agent: GoAgent, bytes: number): Promise<void> {
  const stream = await agent.dial("echo");
  const end = ending(stream);
  stream.end(Buffer.alloc(bytes, "x"));
  const { kind, data } = await end;
  assert.deepEqual([kind, data.length], ["end", bytes]);
}

describe("an agent on Go's stock HTTP/2 server", { skip: missing("turnabout-go-agent") }, () => {
  it("serves HTTP: bodies of known and unknown length, and one up to the target's close", async () => {
    await using web = await startHttpTarget((request, response) => {
      if (request.method === "GET") return void response.end(`host ${request.headers.host}`);
      let bytes = 0;
      request.on("data", (chunk: Buffer) => (bytes += chunk.length));
      request.on("end", () => response.end(`${bytes} bytes`));
    });
    await using old = await startTarget((socket) => {
      socket.once("data", () => socket.end(`HTTP/1.0 200 OK\r\n\r\n${"y".repeat(100_000)}`));
    });
    await using agent = await start({ web: web.address, old: old.address });
    for (let n = 0; n < 3; n += 1) {
      assert.equal((await call(agent.via("web"))).body, "host localhost");
      const upload = await call(agent.via("web"), { method: "POST", body: Buffer.alloc(1_000_000) });
      assert.equal(upload.body, "1000000 bytes");
      const response = await call(agent.via("old"));
      assert.equal(response.body.length, 100_000, "a close of the target is a clean end");
    }
    await eventually(() => isConnected(agent.controlPlane, `${RUNNER}-extra`), "the runner of its /events");
  });

  it("serves WebSockets by Extended CONNECT, and passes a target's refusal", async () => {
    await using web = await startHttpTarget((_request, response) => void response.writeHead(418).end("no"));
    const server = new WebSocketServer({ noServer: true });
    web.http.on("upgrade", (request, socket, head) => {
      if (request.url !== "/ws")
        return void socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
      server.handleUpgrade(request, socket, head, (accepted) => {
        accepted.send(`host ${request.headers.host}`);
        accepted.on("message", (data: Buffer) => accepted.send(data));
      });
    });
    await using agent = await start({ web: web.address });
    const to = { controlPlane: agent.controlPlane, pki: undefined };
    const path = new URL(agent.via("web", "/ws")).pathname;
    {
      await using caller = await openWebSocket("HTTP/1.1", to, path);
      assert.equal(await caller.text(), "host localhost");
      caller.socket.send(Buffer.alloc(300_000));
      assert.equal((await caller.message()).data.length, 300_000);
      caller.socket.close(1000);
      assert.equal((await caller.closed).code, 1000);
    }
    const refusal = await refusedWebSocket("HTTP/1.1", to, new URL(agent.via("web", "/other")).pathname);
    assert.deepEqual([refusal.status, refusal.text], [403, "no"]);
  });

  it("serves CONNECT: the caller's half-close is one, a reset is a reset, a refusal has its reason", async () => {
    await using echo = await startEchoTarget();
    await using rude = await startTarget((socket) => {
      socket.write("before");
      socket.once("data", () => socket.resetAndDestroy());
    });
    await using quiet = await startTarget();
    const targets = {
      echo: echo.address,
      rude: rude.address,
      quiet: quiet.address,
      closed: await refusingAddress(),
    };
    await using agent = await start(targets);
    await assertEchoes(agent, 500_000);

    const reset = await agent.dial("rude");
    const [before] = await next<[Buffer]>(reset, "data");
    assert.equal(before.toString(), "before");
    const end = ending(reset);
    reset.write("now");
    assert.equal((await end).kind, "error");

    const given = await agent.dial("quiet");
    const accepted = await within(quiet.accepted(), "the target's end");
    const far = ending(accepted);
    given.destroy();
    assert.equal((await far).kind, "error", "the caller's reset reaches the target");

    for (let n = 0; n < 20; n += 1) {
      await assert.rejects(agent.dial("closed"), { code: "target_refused" });
      const upload = await call(agent.via("closed"), { method: "POST", body: Buffer.alloc(100_000) });
      assert.deepEqual([upload.status, errorCode(upload)], [502, "target_refused"]);
    }
  });

  it("loses no connection window to streams that stall, are refused or are reset", async () => {
    await using echo = await startEchoTarget();
    await using stalled = await startTarget((socket) => socket.pause());
    await using agent = await start({
      echo: echo.address,
      stalled: stalled.address,
      closed: await refusingAddress(),
    });
    const held = await Promise.all(Array.from({ length: 20 }, async () => agent.dial("stalled")));
    for (const stream of held) stream.write(Buffer.alloc(4 * 1024 * 1024));
    await assertEchoes(agent, 2_000_000);
    for (const stream of held) stream.destroy();
    // 400 × 64 KB of early data: the agent's whole window, which is 25 MiB, once over.
    for (let n = 0; n < 400; n += 20) {
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const upload = await call(agent.via("closed"), { method: "POST", body: Buffer.alloc(64 * 1024) });
          assert.equal(errorCode(upload), "target_refused");
        }),
      );
    }
    await assertEchoes(agent, 2_000_000);
    assert.equal(agent.lines.all.filter((line) => line.includes("connected")).length, 1);
  });

  it("is given no more streams at once than it allows", async () => {
    await using quiet = await startTarget();
    await using agent = await start({ quiet: quiet.address });
    const dials = await Promise.allSettled(
      Array.from({ length: MAX_STREAMS + 20 }, async () => agent.dial("quiet")),
    );
    const codes = dials.map((dial) =>
      dial.status === "fulfilled" ? "ok" : (dial.reason as { code: string }).code,
    );
    assert.ok(
      codes.every((code) => code === "ok" || code === "overloaded"),
      codes.join(" "),
    );
    const opened = codes.filter((code) => code === "ok").length;
    assert.ok(opened > MAX_STREAMS - 10 && opened < MAX_STREAMS, `${opened} streams`);
    for (const dial of dials) if (dial.status === "fulfilled") dial.value.destroy();
  });

  it("drains: what is open finishes, and it is gone", async () => {
    await using echo = await startEchoTarget();
    await using agent = await start({ echo: echo.address });
    const open = await agent.dial("echo");
    const end = ending(open);
    const echoed = next(open, "data");
    open.write("before ");
    await echoed;
    agent.kill("SIGTERM");
    await agent.lines.find((line) => line.includes("draining"), "its GOAWAY");
    open.end("after");
    assert.deepEqual([(await end).kind, (await end).data.toString()], ["end", "before after"]);
    assert.equal(await within(agent.exited, "its end"), 0);
  });

  it("comes back when its tunnel connection has been ended", async () => {
    await using echo = await startEchoTarget();
    await using agent = await start({ echo: echo.address });
    await assertEchoes(agent, 1_000);
    const from = agent.lines.all.length;
    assert.ok(agent.controlPlane.kick(RUNNER));
    await agent.lines.find((line) => line.includes("connected: "), "the second connection", { from });
    await eventually(() => isConnected(agent.controlPlane, RUNNER), "registration");
    await assertEchoes(agent, 1_000);
  });

  it("dials rh2, and gives its token there", async () => {
    await using echo = await startEchoTarget();
    await using agent = await start({ echo: echo.address }, "rh2");
    await assertEchoes(agent, 200_000);
  });
});
