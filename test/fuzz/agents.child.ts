/**
 * A control plane in a process without any handler for uncaught errors, and agents that respond with garbage: HTTP/2
 * frames, `/hello`, `/events`, responses to CONNECT. Prints what was wrong, one line each.
 *
 *     node test/fuzz/agents.child.ts SEED COUNT
 */
import { createServer } from "node:http";
import type { Duplex } from "node:stream";
import { dialCarrier } from "../support/frame-server.ts";
import { dataFrame, encodeFrame, FLAG, FRAME, readFrames, rstFrame } from "../support/http2-frames.ts";
import { anyFrame, anyJson, headers, nearlyJson, someFields, STATUSES } from "./http2-garbage.ts";
import { Random } from "./random.ts";
import { Report } from "./report.ts";
import { connectAgent, getText, listenOn, runCases, seed, startControlPlane, TOKEN } from "./stand.ts";

const AT_ONCE = 6;
const DEADLINE_MS = 20_000;

const random = new Random(seed);
const report = new Report();
const target = await listenOn(createServer((_request, response) => response.end("whole")));
const controlPlane = await startControlPlane(report, { responseTimeoutMs: 1_000, graceMs: 20 });
const { port } = controlPlane;
const neighbour = await connectAgent(controlPlane, { good: { t: target } });

const good = (value: unknown): string => JSON.stringify(value);

function hello(runner: string): string {
  if (random.chance(8)) return anyJson(random);
  return nearlyJson(
    random,
    {
      protocol: "1",
      version: good("1"),
      instance: good(`i-${runner}`),
      bootEpochMs: random.chance(2)
        ? random.pick(["1", "1.5", "1e300", "-1e300", "1e999", "8.7e15", "-1"])
        : "1",
      standby: "false",
      capabilities: random.chance(8) ? anyJson(random) : good(["websocket", "events", "notices"]),
      runners: random.chance(8)
        ? anyJson(random)
        : `[{"id":${good(runner)},"targets":[{"name":"t"},{"name":"h2","http":"2"}]}]`,
    },
    40,
  );
}

function event(runner: string): string {
  if (random.chance(3)) return anyJson(random);
  const type = random.pick(["runner-added", "runner-removed", "target-health", "x"]);
  return nearlyJson(
    random,
    {
      type: good(type),
      id: good(runner),
      runner: type === "target-health" ? good(runner) : `{"id":${good(runner)},"targets":[{"name":"t"}]}`,
      target: good("t"),
      healthy: random.pick(["true", "false"]),
    },
    8,
  );
}

/** What comes back for a stream. */
function respondTo(stream: number, body: string | undefined): Buffer[] {
  const frames: Buffer[] = [];
  if (random.chance(6)) frames.push(anyFrame(random, [stream]));
  while (random.chance(6))
    frames.push(headers(stream, [[":status", "103"], ...someFields(random, 3)], false));
  const status = random.chance(body === undefined ? 2 : 12) ? random.pick(STATUSES) : "200";
  const fields = random.chance(body === undefined ? 2 : 12) ? someFields(random, 5) : [];
  frames.push(headers(stream, [[":status", status], ...fields], random.chance(10)));
  frames.push(
    dataFrame(stream, body ?? random.bytes(random.int(200)), body !== undefined || random.chance(3)),
  );
  if (random.chance(8)) frames.push(headers(stream, someFields(random, 3), true));
  if (random.chance(5)) frames.push(rstFrame(stream, random.pick([0, 1, 2, 5, 7, 8, 11, 13, 4_294_967_295])));
  if (random.chance(6)) frames.sort(() => random.int(3) - 1);
  if (random.chance(20)) return [];
  return frames;
}

async function hostileAgent(runner: string): Promise<Duplex> {
  const carrier = await dialCarrier({
    port,
    token: TOKEN,
    carrier: random.pick(["ptth", "websocket"]),
    runner,
  });
  carrier.on("error", () => {}); // permanent
  const settings = Buffer.from([0, 8, 0, 0, 0, random.chance(4) ? random.int(3) : 1]);
  carrier.write(encodeFrame(FRAME.SETTINGS, 0, 0, settings));
  void serve(carrier, runner).catch(() => carrier.destroy());
  return carrier;
}

async function serve(carrier: Duplex, runner: string): Promise<void> {
  const streams: number[] = [1];
  let helloStream = 0;
  for await (const frame of readFrames(carrier, 24)) {
    const isAck = (frame.flags & FLAG.ACK) !== 0;
    if (frame.type === FRAME.SETTINGS && !isAck) {
      carrier.write(encodeFrame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(0)));
    } else if (frame.type === FRAME.PING && !isAck && !random.chance(3)) {
      carrier.write(encodeFrame(FRAME.PING, FLAG.ACK, 0, frame.payload));
    } else if (frame.type === FRAME.HEADERS) {
      streams.push(frame.stream);
      if (helloStream === 0) {
        helloStream = frame.stream;
        carrier.write(
          Buffer.concat([
            headers(frame.stream, [[":status", "200"]], false),
            dataFrame(frame.stream, hello(runner), true),
          ]),
        );
        continue;
      }
      if (frame.payload.includes("/events")) {
        const lines = Array.from({ length: random.int(8) }, () => event(runner)).join("\n");
        carrier.write(Buffer.concat(respondTo(frame.stream, `${lines}\n`)));
        continue;
      }
      const frames = respondTo(frame.stream, undefined);
      while (random.chance(5)) frames.push(anyFrame(random, streams));
      carrier.write(Buffer.concat(frames));
    }
  }
}

async function callersOf(runner: string): Promise<void> {
  const base = `/api/v1/runners/${runner}`;
  const paths = [
    `${base}/targets/t/`,
    `${base}/targets/t/`,
    `${base}/targets/h2/x`,
    `${base}/ping`,
    `${base}/metrics`,
    base,
  ];
  await Promise.all(paths.map((path) => report.within(getText(port, path), `GET ${path}`, DEADLINE_MS)));
}

async function neighbourWorks(after: string): Promise<void> {
  const path = "/api/v1/runners/good/targets/t/";
  const response = await report.within(getText(port, path), "the neighbour", DEADLINE_MS);
  if (response?.text !== "whole") report.add(`after ${after}: the neighbour got ${JSON.stringify(response)}`);
  const list = await report.within(getText(port, "/api/v1/runners"), "the list", DEADLINE_MS);
  if (list?.status !== 200 || !list.text.includes('"good"')) {
    report.add(`after ${after}: the list of runners is ${JSON.stringify(list)?.slice(0, 300)}`);
  }
}

async function runCase(n: number): Promise<void> {
  const runner = `evil-${n}`;
  const carrier = await report.within(hostileAgent(runner), `the dial of ${runner}`, DEADLINE_MS);
  if (carrier === undefined) return;
  // Most of them end soon, so that open requests fail by that and not only by a time limit.
  const life = setTimeout(() => carrier.destroy(), random.chance(12) ? 2_500 : 50 + random.int(250));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await callersOf(runner);
  clearTimeout(life);
  await neighbourWorks(runner);
  carrier.destroy();
}

const isDone = new AbortController();
const events = fetch(`http://127.0.0.1:${port}/api/v1/events`, {
  headers: { authorization: `Bearer ${TOKEN}` },
  signal: isDone.signal,
})
  .then(async (response) => response.text())
  .catch(() => {});
await runCases(AT_ONCE, runCase);
isDone.abort();
await events;
await report.within(Promise.all([neighbour.close(), controlPlane.close()]), "the end", DEADLINE_MS);
report.end();
