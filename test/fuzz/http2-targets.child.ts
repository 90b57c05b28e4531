/**
 * A control plane and an agent in a process without any handler for uncaught errors, before an HTTP/2 target that sends
 * garbage. Prints what was wrong, one line each.
 *
 *     node test/fuzz/http2-targets.child.ts SEED COUNT
 */
import http2 from "node:http2";
import net from "node:net";
import type { Socket } from "node:net";
import {
  dataFrame,
  encodeFrame,
  FLAG,
  FRAME,
  readFrames,
  rstFrame,
  uint32,
} from "../support/http2-frames.ts";
import { anyFrame, headers, someFields, STATUSES } from "./http2-garbage.ts";
import { Random } from "./random.ts";
import { Report } from "./report.ts";
import { connectAgent, endWith, listenOn, runCases, seed, startControlPlane, TOKEN } from "./stand.ts";

const AT_ONCE = 6;
const DEADLINE_MS = 20_000;

const random = new Random(seed);
const report = new Report();

const target = net.createServer((socket) => {
  socket.on("error", () => {}); // permanent
  void serve(socket).catch(() => socket.destroy());
});
const targets = {
  t: `${await listenOn(target)};http=2`,
  good: `${await listenOn(http2.createServer((_request, response) => response.end("whole")))};http=2`,
};
const controlPlane = await startControlPlane(report, { responseTimeoutMs: 1_000 });
const { port } = controlPlane;
const agent = await connectAgent(controlPlane, { r: targets }, { log: report.logger });

async function serve(socket: Socket): Promise<void> {
  const streams: number[] = [];
  // A response may continue without end, so the target's connection is cut.
  socket.setTimeout(300, () => socket.destroy());
  if (random.chance(20)) return void socket.end(random.bytes(100), "latin1");
  const setting = Buffer.concat([
    Buffer.from([0, random.int(10)]),
    uint32(random.pick([0, 1, 100, 65_535, 4_294_967_295])),
  ]);
  socket.write(encodeFrame(FRAME.SETTINGS, 0, 0, random.chance(4) ? setting : Buffer.alloc(0)));
  for await (const frame of readFrames(socket, 24)) {
    const isAck = (frame.flags & FLAG.ACK) !== 0;
    if (frame.type === FRAME.SETTINGS && !isAck) {
      socket.write(encodeFrame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(0)));
    } else if (frame.type === FRAME.HEADERS) {
      streams.push(frame.stream);
      socket.write(Buffer.concat(response(frame.stream, streams)));
      if (random.chance(12)) socket.end();
      if (random.chance(12)) socket.resetAndDestroy();
    }
  }
}

function response(stream: number, streams: readonly number[]): Buffer[] {
  const frames: Buffer[] = [];
  while (random.chance(5)) frames.push(anyFrame(random, streams));
  while (random.chance(5)) {
    frames.push(
      headers(
        stream,
        [[":status", random.pick(["100", "101", "103", "199"])], ...someFields(random, 3)],
        false,
      ),
    );
  }
  const status = random.chance(2) ? random.pick(STATUSES) : "200";
  frames.push(
    headers(
      stream,
      [[":status", status], ...(random.chance(2) ? someFields(random, 6) : [])],
      random.chance(8),
    ),
  );
  const isLast = random.chance(2);
  frames.push(dataFrame(stream, "0123456789".repeat(random.int(30)), isLast));
  if (!isLast && random.chance(2)) frames.push(headers(stream, someFields(random, 4), !random.chance(4)));
  if (random.chance(5)) frames.push(rstFrame(stream, random.pick([0, 1, 2, 5, 7, 8, 11, 13, 4_294_967_295])));
  if (random.chance(12)) {
    const last = uint32(random.pick([0, stream, 2_147_483_647]));
    frames.push(encodeFrame(FRAME.GOAWAY, 0, 0, Buffer.concat([last, uint32(random.int(14))])));
  }
  if (random.chance(6)) frames.sort(() => random.int(3) - 1);
  return frames;
}

async function overHttp1(path: string, body: string | undefined): Promise<string | undefined> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: body === undefined ? random.pick(["GET", "HEAD", "DELETE"]) : "POST",
      headers: { authorization: `Bearer ${TOKEN}`, te: "trailers" },
      ...(body !== undefined && { body }),
    });
    return await response.text();
  } catch {
    return undefined; // broken off
  }
}

async function overHttp2(path: string, body: string | undefined): Promise<string | undefined> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {}); // permanent
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const stream = session.request(
    {
      ":path": path,
      ":method": body === undefined ? "GET" : "POST",
      authorization: `Bearer ${TOKEN}`,
      te: "trailers",
    },
    { endStream: body === undefined },
  );
  let text = "";
  stream.on("error", () => {}); // permanent
  stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  stream.on("close", () => resolve(text));
  if (body !== undefined) stream.end(body);
  const seen = await promise;
  session.destroy();
  return seen;
}

await runCases(AT_ONCE, async (n) => {
  const ask = random.chance(2) ? overHttp1 : overHttp2;
  const body = random.chance(3) ? "x".repeat(random.int(50_000)) : undefined;
  await report.within(ask(`/api/v1/runners/r/targets/t/${n}`, body), `${n} ${ask.name}`, DEADLINE_MS);
  if (n % 5 !== 0) return;
  const path = "/api/v1/runners/r/targets/good/";
  const whole = await report.within(overHttp2(path, undefined), "the neighbour", DEADLINE_MS);
  if (whole !== "whole") report.add(`after ${n}: the neighbour got ${JSON.stringify(whole)}`);
});
await endWith(report, { agent, controlPlane }, DEADLINE_MS);
