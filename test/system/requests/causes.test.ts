/**
 * Why a request has failed: the caller's response, the line of the control plane and that of the agent have the same id, and the
 * two lines say what happened. Nothing of the agent's addresses leaves it.
 */
import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { keptLog } from "../../support/agents.ts";
import type { KeptLine } from "../../support/agents.ts";
import { openCaller, via } from "../../support/callers.ts";
import type { EventLog } from "../../support/event-log.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { refusingAddress, startHttpTarget, startTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";
import { refusedWebSocket } from "../../support/websockets.ts";

const UNPRIVILEGED_UID = 65_534;
const TIMEOUT_S = "0.2";

/** What both lines have of it. */
const CAUSES = [
  { name: "closed", what: "a closed port", code: "target_refused", errno: "ECONNREFUSED", phase: "connect" },
  { name: "missing", what: "a missing socket", code: "target_refused", errno: "ENOENT", phase: "connect" },
  {
    name: "locked",
    what: "a socket without permission",
    code: "target_refused",
    errno: "EACCES",
    phase: "connect",
  },
  { name: "silent", what: "a silent target", code: "response_timeout", errno: undefined, phase: "response" },
] as const;
type Cause = (typeof CAUSES)[number];

const HINTS = {
  ECONNREFUSED: /nothing listens there: start the service/,
  ENOENT: /no such socket: start the service/,
  EACCES: /the agent's user may not open the socket/,
} as const;

const ways: Record<string, (system: System, name: string) => Promise<string | undefined>> = {
  "HTTP/1.1": async (system, name) => {
    await using caller = await openCaller("HTTP/1.1", system);
    const headers = { "turnabout-timeout": TIMEOUT_S };
    return idOf(await caller.call({ path: via("/", name), headers }));
  },
  WebSocket: async (system, name) =>
    idOf(
      await refusedWebSocket("HTTP/1.1", system, via("/", name), {
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "turnabout-timeout": TIMEOUT_S },
      }),
    ),
  CONNECT: async (system, name) => {
    const field = `Proxy-Authorization: Bearer ${ADMIN_TOKEN}`;
    const head = `CONNECT ${name}.${RUNNER} HTTP/1.1\r\nHost: ${name}.${RUNNER}\r\n${field}\r\n\r\n`;
    const { text } = await exchangeRaw(system.controlPlane.port, head);
    return /x-request-id: (\S+)/.exec(text)?.[1];
  },
};

function idOf({ headers }: { headers: { [name: string]: string | string[] | undefined } }): string {
  return String(headers["x-request-id"]);
}

function lineOf(lines: EventLog<KeptLine>, id: string | undefined): Promise<KeptLine> {
  return lines.find(({ fields }) => fields["requestId"] === id, `a log line about ${id}`);
}

function causeIn({ fields: { runner, target, code, errno, phase } }: KeptLine): object {
  return { runner, target, code, errno, phase };
}

const control = keptLog();
const agent = keptLog();
let system: System;
let silent: TestTarget;
let locked: TestTarget;

before(async () => {
  silent = await startTarget();
  locked = await startTarget(undefined, { on: "unix" });
  chmodSync(locked.address.slice("unix:".length), 0);
  system = await startSystem({ agents: 0, controlPlane: { log: control.log } });
  const closed = await refusingAddress();
  const missing = await refusingAddress("unix");
  const targets = { closed, missing, locked: locked.address, silent: silent.address };
  await system.addAgent({ [RUNNER]: targets }, { log: agent.log });
});
after(async () => {
  await system.close();
  await silent.close();
  await locked.close();
});

/** Root has every permission. */
async function unprivileged<T>(work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(UNPRIVILEGED_UID);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

for (const [way, request] of Object.entries(ways)) {
  describe(`a failed request over ${way}`, () => {
    for (const cause of CAUSES) {
      if (way === "CONNECT" && cause.name === "silent") continue; // it is connected, and has no response to wait for
      it(`is explained by both ends: ${cause.what}`, async () => {
        const send = (): Promise<string | undefined> => request(system, cause.name);
        const id = await (cause.name === "locked" ? unprivileged(send) : send());
        await assertExplained(id, cause);
      });
    }
  });
}

async function assertExplained(id: string | undefined, { name, code, errno, phase }: Cause): Promise<void> {
  const there = await lineOf(agent.lines, id);
  const here = await lineOf(control.lines, id);
  const expected = { runner: RUNNER, target: name, code, errno, phase };
  assert.deepEqual([causeIn(here), causeIn(there)], [expected, expected]);
  assert.deepEqual([here.level, there.level], ["info", "info"]);
  if (errno !== undefined) {
    for (const { fields } of [here, there]) assert.match(String(fields["hint"]), HINTS[errno]);
    if (errno !== "ECONNREFUSED")
      assert.doesNotMatch(String(here.fields["reason"]), /refused the connection/);
  }
  assert.equal(here.fields["credential"], "admin");
  const address = String(there.fields["address"]);
  assert.match(address, /^(127\.0\.0\.1:\d+|unix:\/.+)$/);
  assert.ok(!JSON.stringify(here).includes(address), "the control plane does not know the address");
}

it("a silent target is named by the id of each request, also on a stream that is kept open", async () => {
  let requests = 0;
  await using target = await startHttpTarget((_request, response) => {
    requests += 1;
    if (requests === 1) response.end("first");
  });
  await system.addAgent({ kept: { web: target.address } }, { log: agent.log });
  await using caller = await openCaller("HTTP/1.1", system);
  const first = await caller.call({ path: via("/", "web", "kept") });
  const headers = { "turnabout-timeout": TIMEOUT_S };
  const second = await caller.call({ method: "POST", path: via("/", "web", "kept"), headers });
  assert.deepEqual([first.status, second.status], [200, 504]);
  const { fields } = await lineOf(agent.lines, idOf(second));
  assert.deepEqual([fields["target"], fields["phase"]], ["web", "response"]);
});

describe("ids that others give", () => {
  const GIVEN = "req_01J.trace:7/a=b@c+d-e";

  async function failWith(to: System, given: string): Promise<string> {
    await using caller = await openCaller("HTTP/1.1", to);
    return idOf(await caller.call({ path: via("/", "none"), headers: { "x-request-id": given } }));
  }

  it("count from a trusted proxy, bounded", async () => {
    await using trusting = await startSystem({ controlPlane: { trustedProxies: ["127.0.0.1"] } });
    assert.equal(await failWith(trusting, GIVEN), GIVEN);
    for (const bad of ["x".repeat(129), "two words", 'q"uote', "ü"]) {
      assert.match(await failWith(trusting, bad), /^[0-9a-f-]{36}$/, bad);
    }
  });

  it("do not count from anyone else, and reach the target with the trace fields as they are", async () => {
    const seen: unknown[] = [];
    await using target = await startHttpTarget(({ headers }, response) => {
      const { "x-request-id": id, traceparent, tracestate, ...rest } = headers;
      const ours = Object.keys(rest).filter((name) => name.startsWith("turnabout-"));
      seen.push([id, traceparent, tracestate, ours]);
      response.end();
    });
    await using plain = await startSystem({ target });
    assert.match(await failWith(plain, GIVEN), /^[0-9a-f-]{36}$/);
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const tracestate = "vendor=t61rcWkgMzE,other=1";
    const headers = { "x-request-id": GIVEN, traceparent, tracestate };
    await using caller = await openCaller("HTTP/1.1", plain);
    await caller.call({ path: via("/"), headers });
    const authorization = `Bearer ${ADMIN_TOKEN}`;
    await refusedWebSocket("HTTP/1.1", plain, via("/"), {
      headers: { authorization, ...headers, "turnabout-request-id": "forged" },
    });
    assert.deepEqual(seen, [
      [GIVEN, traceparent, tracestate, []],
      [GIVEN, traceparent, tracestate, []],
    ]);
  });
});
