/**
 * Targets that were reached and do not respond as they should: both ends log it once, in words that tell which it was, under the
 * id that the caller gets, also where the caller has given up.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { ABANDONED_AFTER_MS } from "../../../src/control/limits.ts";
import { keptLog } from "../../support/agents.ts";
import type { KeptLine } from "../../support/agents.ts";
import { openCaller, via } from "../../support/callers.ts";
import { next } from "../../support/events.ts";
import type { EventLog } from "../../support/event-log.ts";
import { connectRaw, exchangeRaw } from "../../support/raw-http.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startEchoTarget, startTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";

/** By name, what it sends to each request before it closes; "silent" and "stuck" keep the connection. */
const BYTES: Readonly<Record<string, string>> = {
  empty: "",
  cut: "HTTP/1.1 200 OK\r\nContent-Le",
  garbage: "220 mail.example ESMTP\r\n",
  short: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nless",
};

const control = keptLog();
const agent = keptLog();
const targets: TestTarget[] = [];
let system: System;

before(async () => {
  const silent = await startTarget((socket) => void socket.resume());
  const echo = await startEchoTarget();
  const stuck = await startRawTarget(({ socket }) => void socket.write(BYTES["cut"] ?? ""));
  const addresses: Record<string, string> = {
    silent: silent.address,
    silent2: `${silent.address};http=2`,
    stuck: stuck.address,
    echo: echo.address,
  };
  targets.push(silent, echo, stuck);
  for (const [name, bytes] of Object.entries(BYTES)) {
    const target = await startRawTarget(({ socket }) => void socket.end(bytes));
    addresses[name] = target.address;
    targets.push(target);
  }
  system = await startSystem({ agents: 0, controlPlane: { log: control.log } });
  await system.addAgent({ [RUNNER]: addresses }, { log: agent.log });
});
after(async () => {
  await system.close();
  for (const target of targets) await target.close();
});

function lineOf(lines: EventLog<KeptLine>, id: unknown): Promise<KeptLine> {
  return lines.find(({ fields }) => fields["requestId"] === id, `a log line about ${String(id)}`);
}

describe("a response that fails", () => {
  for (const [name, code, phase, here, there] of [
    ["silent", "response_timeout", "response", /reached and is silent: not a byte/, /is silent/],
    ["stuck", "response_timeout", "response", /stopped within the header/, /stopped within the header/],
    ["empty", "target_closed", "response", /closed the connection without a byte/, /closed without a byte/],
    [
      "cut",
      "target_closed",
      "response",
      /closed the connection within the header/,
      /closed within the header/,
    ],
    ["garbage", "target_protocol", "response", /is not valid HTTP/, /no valid response/],
    ["short", "target_closed", "content", /before the end of its content/, /not completed/],
  ] as const)
    it(`is explained by both ends: ${name}`, async () => {
      await using caller = await openCaller("HTTP/1.1", system);
      const headers = { "turnabout-timeout": "0.2" };
      const response = caller.call({ method: "POST", path: via("/", name), headers }).catch(() => undefined);
      const isAbout = ({ fields }: KeptLine): boolean => fields["target"] === name;
      const seen = await control.lines.find(isAbout, `a line about ${name}`);
      const id = seen.fields["requestId"];
      assert.match(String(seen.fields["reason"]), here);
      assert.match(String(seen.fields["reason"]), new RegExp(`^${RUNNER} ${name}: `));
      assert.equal(typeof seen.fields["hint"], "string");
      const known = await lineOf(agent.lines, id);
      assert.match(known.message, there);
      for (const { fields, level } of [seen, known])
        assert.deepEqual([level, fields["code"], fields["phase"]], ["info", code, phase]);
      assert.equal(typeof known.fields["waitedMs"], "number");
      assert.match(String(known.fields["address"]), /^127\.0\.0\.1:\d+$/);
      const { headers: fields } = (await response) ?? {};
      if (phase === "response") assert.equal(fields?.["x-request-id"], id);
    });
});

describe("a caller that gives a silent target up", () => {
  const authorization = `Authorization: Bearer ${ADMIN_TOKEN}`;
  const ways: Readonly<Record<string, { target: string; head: string; responds?: boolean }>> = {
    "an HTTP request": { target: "silent", head: `GET ${via("/given-up", "silent")} HTTP/1.1\r\n` },
    "an HTTP request to an HTTP/2 target": {
      target: "silent2",
      head: `GET ${via("/given-up", "silent2")} HTTP/1.1\r\n`,
    },
    "a WebSocket": {
      target: "silent",
      head:
        `GET ${via("/given-up", "silent")} HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    },
    CONNECT: {
      target: "silent",
      head: `CONNECT silent.${RUNNER} HTTP/1.1\r\nProxy-Authorization: Bearer ${ADMIN_TOKEN}\r\n`,
      responds: true,
    },
  };

  for (const [way, { target, head, responds = false }] of Object.entries(ways))
    it(`leaves one line at each end, with one id: ${way}`, async () => {
      const from = [control.lines.length, agent.lines.length] as const;
      const socket = await connectRaw(system.controlPlane.port);
      socket.write(`${head}Host: localhost\r\n${responds ? "" : `${authorization}\r\n`}\r\n`);
      if (responds) {
        await next(socket, "data");
        socket.write("hello?");
      }
      // The time that a client has for a response.
      await delay(ABANDONED_AFTER_MS + 200);
      socket.destroy();
      const ours = ({ fields }: KeptLine): boolean => fields["target"] === target;
      const there = await agent.lines.find(ours, "a line of the agent", { from: from[1] });
      const here = await control.lines.find(ours, "a line of the control plane", { from: from[0] });
      const { requestId: id, code, phase, waitedMs } = there.fields;
      assert.deepEqual([code, phase, here.fields["requestId"]], ["response_timeout", "response", id]);
      assert.ok(Number(waitedMs) >= ABANDONED_AFTER_MS, String(waitedMs));
      // What both ends have noticed is logged once: this request's own notice would have come by now.
      await exchangeRaw(
        system.controlPlane.port,
        `GET ${via("/", "none")} HTTP/1.1\r\n${authorization}\r\n\r\n`,
      );
      assert.equal(agent.lines.all.filter(({ fields }) => fields["requestId"] === id).length, 1);
      assert.equal(control.lines.all.filter(({ fields }) => fields["requestId"] === id).length, 1);
    });

  it("leaves none for a tunnel that has carried a byte, or that ends at once", async () => {
    const from = [control.lines.length, agent.lines.length] as const;
    const connect = `CONNECT NAME.${RUNNER} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`;
    const used = await connectRaw(system.controlPlane.port);
    used.write(connect.replace("NAME", "echo"));
    await next(used, "data");
    used.write("x");
    await next(used, "data");
    const brief = await connectRaw(system.controlPlane.port);
    brief.write(connect.replace("NAME", "silent"));
    await next(brief, "data");
    brief.destroy();
    await delay(ABANDONED_AFTER_MS + 200);
    used.destroy();
    await exchangeRaw(system.controlPlane.port, connect.replace("NAME", "none"));
    const told = ({ message }: KeptLine): boolean => /silent|has left/.test(message);
    assert.deepEqual(
      [control.lines.all.slice(from[0]).filter(told), agent.lines.all.slice(from[1]).filter(told)],
      [[], []],
    );
  });
});
