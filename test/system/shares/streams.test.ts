/** Streams to targets: one user cannot take those of others, and one alone can use nearly all. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { CALLER_MAX_STREAMS } from "../../../src/control/limits.ts";
import { TARGET_STREAMS_PER_HOLDER } from "../../../src/control/shares/limits.ts";
import { shareLeft } from "../../../src/control/shares/shares.ts";
import { RESERVED_STREAMS } from "../../../src/wire/limits.ts";
import { errorCode, openCaller, via } from "../../support/callers.ts";
import type { Caller } from "../../support/callers.ts";
import { eventually } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { startHttp2Target, startHttpTarget, startTarget } from "../../support/target.ts";
import { refusedWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const user = (id: string): TokenRecord => ({ id, kind: "user", sha256: hashToken(id), runners: ["*"] });
const tokens = [user("alice"), user("bob")];

const as = (who: string) => ({ authorization: `Bearer ${who}`, "x-who": who });

/** Requests whose responses may never come, and the statuses of those that have. */
function request(caller: Caller, who: string, count: number): number[] {
  const statuses: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const { response } = caller.open({ path: via("/"), headers: as(who), bodyless: true });
    response.then(
      ({ status, body }) => {
        body.resume();
        statuses.push(status);
      },
      () => {},
    );
  }
  return statuses;
}

/** For a target that holds alice's requests, and serves all others. */
function holdAlices(): { held: ServerResponse[]; listener: Parameters<typeof startHttpTarget>[0] } {
  const held: ServerResponse[] = [];
  return {
    held,
    listener: (incoming, response) => {
      if (incoming.headers["x-who"] === "alice") held.push(response);
      else response.end("served");
    },
  };
}

describe("a user who takes as many streams of a target as there are", () => {
  it("gets 512 when alone, is refused the rest, and leaves room for another", async () => {
    const { held, listener } = holdAlices();
    await using target = await startHttpTarget(listener);
    await using system = await startSystem({ target, controlPlane: { tokens } });
    const share = TARGET_STREAMS_PER_HOLDER;
    const callers = [
      await openCaller("HTTP/2 by prior knowledge", system),
      await openCaller("HTTP/2 by prior knowledge", system),
      await openCaller("HTTP/2 by prior knowledge", system),
    ];
    const counts = [CALLER_MAX_STREAMS, CALLER_MAX_STREAMS, 48];
    const statuses = callers.map((caller, index) => request(caller, "alice", counts[index] ?? 0));
    await eventually(() => statuses.flat().length === 48, "the refusals");
    assert.deepEqual(new Set(statuses.flat()), new Set([503]));
    assert.equal(held.length, share);

    const bob = await openCaller("HTTP/1.1", system);
    const { status, text } = await bob.call({ path: via("/"), headers: as("bob") });
    assert.deepEqual([status, text], [200, "served"]);
    const [first] = callers;
    const more = await first?.call({ path: via("/"), headers: as("alice") });
    assert.deepEqual([more?.status, more?.headers["retry-after"]], [503, "1"]);
    assert.equal(held.length, share);
    assert.match(
      (await call(`${system.url}/metrics`)).body,
      /share_refusals_total\{share="target_streams"\} [1-9]/,
    );
    for (const caller of callers) await caller.close();
  });

  it("waits, and is served, while the streams end", async () => {
    await using target = await startHttpTarget((_request, response) => {
      setImmediate(() => response.end("served"));
    });
    await using system = await startSystem({ target, controlPlane: { tokens } });
    const callers = [
      await openCaller("HTTP/2 by prior knowledge", system),
      await openCaller("HTTP/2 by prior knowledge", system),
    ];
    const statuses = callers.map((caller) => request(caller, "alice", CALLER_MAX_STREAMS));
    await eventually(() => statuses.flat().length === 2 * CALLER_MAX_STREAMS, "all responses");
    assert.deepEqual(new Set(statuses.flat()), new Set([200]));
    for (const caller of callers) await caller.close();
  });
});

describe("an agent that takes fewer streams to a target", () => {
  it("announces how many, and one user leaves some of them for another", async () => {
    await using system = await startSystem({ agents: 0, controlPlane: { tokens } });
    let streams = 0;
    await using _agent = await startScriptedAgent(system.controlPlane, {
      capabilities: [],
      streamsPerTarget: 16,
      onStream: (stream) => {
        streams += 1;
        stream.respond({ ":status": 200 });
      },
    });
    const caller = await openCaller("HTTP/2 by prior knowledge", system);
    const statuses = request(caller, "alice", 20);
    const share = shareLeft("user alice", 0, 16);
    await eventually(() => statuses.length === 20 - share, "the refusals");
    assert.deepEqual([streams, new Set(statuses)], [share, new Set([503])]);
    request(caller, "bob", 1);
    await eventually(() => streams === share + 1, "another user's stream");
    await caller.close();
  });
});

describe("a user who takes as many streams of an agent's connection as there are", () => {
  it("leaves room for another, at whatever target", async () => {
    const { held, listener } = holdAlices();
    await using target = await startHttpTarget(listener);
    await using system = await startSystem({ target, controlPlane: { tokens } });
    const [connection] = system.controlPlane.runners()[0]?.connections ?? [];
    assert.ok(connection !== undefined);
    const settings = { value: { maxConcurrentStreams: 16 + RESERVED_STREAMS + 1 } };
    Object.defineProperty(connection.http2Session, "remoteSettings", settings);
    const total = connection.freeStreams;
    const caller = await openCaller("HTTP/2 by prior knowledge", system);
    const statuses = request(caller, "alice", total);
    await eventually(() => statuses.length + held.length === total, "all of them");
    assert.ok(statuses.length >= total - shareLeft("user alice", 0, total), `${statuses.length} refused`);
    assert.deepEqual(new Set(statuses), new Set([503]));
    const { status } = await caller.call({ path: via("/"), headers: as("bob") });
    assert.equal(status, 200);
    await caller.close();
  });
});

describe("a user who takes as many streams of an HTTP/2 target as that allows", () => {
  it("leaves room for another, also among those that wait", async () => {
    const held: ServerHttp2Stream[] = [];
    const max = 16;
    await using target = await startHttp2Target(
      (stream, headers) => {
        if (headers["x-who"] === "alice") held.push(stream);
        else {
          stream.respond({ ":status": 200 });
          stream.end("served");
        }
      },
      { settings: { maxConcurrentStreams: max } },
    );
    await using system = await startSystem({ target, agents: 0, controlPlane: { tokens } });
    await system.addAgent({ [RUNNER]: { [TARGET]: `${target.address};http=2` } });
    const caller = await openCaller("HTTP/2 by prior knowledge", system);
    request(caller, "alice", 2 * max);
    const share = shareLeft("user alice", 0, max);
    await eventually(() => held.length === share, "the share");
    for (let n = 0; n < 3; n += 1) {
      const { status, text } = await caller.call({ path: via("/"), headers: as("bob") });
      assert.deepEqual([status, text], [200, "served"]);
    }
    assert.equal(held.length, share);
    await caller.close();
  });
});

describe("a user with as many open streams as one may have", () => {
  it("is refused any more, of whatever kind, until one ends; another user is not", async () => {
    await using target = await startTarget((socket) => {
      socket.on("data", () => {});
    });
    await using system = await startSystem({ target, controlPlane: { tokens, streamsPerCaller: 3 } });
    const caller = await openCaller("HTTP/2 by prior knowledge", system);
    const held = [1, 2, 3].map(() => caller.open({ path: via("/"), headers: as("alice"), bodyless: true }));
    await eventually(() => target.sockets.size === 3, "three streams");

    const request = await caller.call({ path: via("/"), headers: as("alice") });
    assert.deepEqual([request.status, request.headers["retry-after"]], [429, "1"]);
    assert.equal(errorCode(request.text), "share_exceeded");
    const events = await caller.call({ path: "/api/v1/events", headers: as("alice") });
    assert.equal(events.status, 429);
    for (const kind of ["HTTP/1.1", "HTTP/2 by prior knowledge"] as const) {
      const webSocket = await refusedWebSocket(kind, system, via("/"), { headers: as("alice") });
      assert.equal(webSocket.status, 429, kind);
    }
    const tunnel = `CONNECT ${TARGET}.${RUNNER}:80 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer alice\r\n\r\n`;
    const { statuses, text } = await exchangeRaw(system.controlPlane.port, tunnel);
    assert.deepEqual(statuses, [429]);
    assert.match(text, /proxy-status: turnabout; error=connection_limit_reached/i);

    const bobs = caller.open({ path: via("/"), headers: as("bob"), bodyless: true });
    await eventually(() => target.sockets.size === 4, "another user's stream");
    held[0]?.abort();
    await eventually(() => target.sockets.size === 3, "one less");
    held.push(caller.open({ path: via("/"), headers: as("alice"), bodyless: true }));
    await eventually(() => target.sockets.size === 4, "one more");
    for (const call of [...held, bobs]) call.abort();
    await eventually(() => target.sockets.size === 0, "none");
    await caller.close();
  });
});

describe("a WebSocket that the target refuses", () => {
  it("gives its place back", async () => {
    await using target = await startHttpTarget(() => {});
    await using system = await startSystem({ target, controlPlane: { tokens, streamsPerCaller: 1 } });
    target.http.on(
      "upgrade",
      (_request, socket) => void socket.end("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
    );
    for (let n = 0; n < 3; n += 1) {
      const { status } = await refusedWebSocket("HTTP/1.1", system, via("/"), { headers: as("alice") });
      assert.equal(status, 403);
    }
  });
});
