/**
 * Control plane and agent in one process without any handler for uncaught errors, a hostile target behind them, and
 * callers of every kind. Prints what was wrong, one line each, and ends with 0 where nothing was.
 *
 *     node test/fuzz/exchanges.child.ts SEED COUNT
 */
import http2 from "node:http2";
import net from "node:net";
import { hostileResponse } from "./hostile-response.ts";
import type { HostileResponse } from "./hostile-response.ts";
import { Random } from "./random.ts";
import { Report } from "./report.ts";
import { connectAgent, endWith, listenOn, runCases, seed, startControlPlane, TOKEN } from "./stand.ts";

const AT_ONCE = 8;
/** Above the response timeout below. */
const DEADLINE_MS = 15_000;
const KEY = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const KINDS = [
  "h1",
  "h1.0",
  "h1-head",
  "h1-post",
  "h2",
  "h2-head",
  "h2-post",
  "ws",
  "ws-h2",
  "proxy",
  "connect",
] as const;
type Kind = (typeof KINDS)[number];

const responses = new Map<string, HostileResponse>();
const target = net.createServer((socket) => {
  socket.on("error", () => {}); // permanent
  let seen = "";
  socket.on("data", (chunk: Buffer) => {
    seen += chunk.toString("latin1");
    if (!seen.includes("\r\n\r\n")) return;
    const response = responses.get(/\/n(\d+)/.exec(seen)?.[1] ?? "");
    seen = "";
    if (response === undefined) return void socket.destroy();
    for (const piece of response.pieces) socket.write(piece, "latin1");
    if (response.end === "end") socket.end();
    if (response.end === "reset") setTimeout(() => socket.resetAndDestroy(), 5);
  });
});
const report = new Report();
const address = await listenOn(target);
const controlPlane = await startControlPlane(report, { responseTimeoutMs: 3_000 });
const { port } = controlPlane;
const agent = await connectAgent(controlPlane, { r: { t: address } }, { connections: undefined });

interface Outcome {
  /** A response was taken for complete, with this content; undefined where it broke. */
  complete: string | undefined;
  hung: boolean;
}

/** Raw HTTP/1.1 with `Connection: close`: framing, or a clean end, says whether it is complete. */
async function http1(bytes: string): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const socket = net.connect(port, "127.0.0.1");
  let text = "";
  let failed = false;
  const timer = setTimeout(() => {
    resolve({ complete: undefined, hung: true });
    socket.destroy();
  }, DEADLINE_MS);
  socket.on("error", () => (failed = true));
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("close", () => {
    clearTimeout(timer);
    resolve({ complete: failed ? undefined : contentOf(text), hung: false });
  });
  socket.write(bytes, "latin1");
  return promise;
}

function contentOf(text: string): string | undefined {
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const head = rest.slice(0, end);
    rest = rest.slice(end + 4);
    if (/^HTTP\/1\.1 1(?!01)/.test(head)) continue;
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
    if (length !== undefined) return rest.length === Number(length) ? rest : undefined;
    if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return rest;
    return rest.endsWith("0\r\n\r\n") || /\r\n0\r\n[^]*\r\n\r\n$/.test(rest) ? rest : undefined;
  }
}

async function overHttp2(headers: http2.OutgoingHttpHeaders, body?: string): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const session = http2.connect(`http://127.0.0.1:${port}`, { maxHeaderListPairs: 4_000 });
  session.on("error", () => {}); // permanent
  const stream = session.request(
    { authorization: `Bearer ${TOKEN}`, ...headers },
    { endStream: body === undefined && headers[":method"] !== "CONNECT" },
  );
  let text = "";
  let ended = false;
  let failed = false;
  const timer = setTimeout(() => {
    resolve({ complete: undefined, hung: true });
    session.destroy();
  }, DEADLINE_MS);
  stream.on("error", () => (failed = true));
  stream.on("aborted", () => (failed = true));
  stream.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  stream.on("end", () => (ended = true));
  stream.on("response", (fields) => {
    // An open WebSocket stays open: it is the caller's to end.
    if (headers[":method"] === "CONNECT" && fields[":status"] === 200) stream.destroy();
  });
  stream.on("close", () => {
    clearTimeout(timer);
    const whole = ended && !failed && stream.rstCode === 0;
    resolve({ complete: whole ? text : undefined, hung: false });
    session.destroy();
  });
  if (body !== undefined) stream.end(body);
  return promise;
}

async function exchange(kind: Kind, n: number): Promise<Outcome> {
  const path = `/api/v1/runners/r/targets/t/n${n}`;
  const fields = `Host: x\r\nAuthorization: Bearer ${TOKEN}\r\n`;
  const close = `${fields}Connection: close\r\n`;
  const upgrade = `${fields}Connection: Upgrade\r\nUpgrade: websocket\r\n${KEY}`;
  switch (kind) {
    case "h1":
      return http1(`GET ${path} HTTP/1.1\r\n${close}\r\n`);
    case "h1.0":
      return http1(`GET ${path} HTTP/1.0\r\n${fields}\r\n`);
    case "h1-head":
      return http1(`HEAD ${path} HTTP/1.1\r\n${close}\r\n`);
    case "h1-post":
      return http1(`POST ${path} HTTP/1.1\r\n${close}Content-Length: 3\r\n\r\nabc`);
    case "ws":
      return http1(`GET ${path} HTTP/1.1\r\n${upgrade}\r\n`);
    case "proxy":
      return http1(
        `GET http://t.r/n${n} HTTP/1.1\r\nHost: t.r\r\nProxy-Authorization: Bearer ${TOKEN}\r\nConnection: close\r\n\r\n`,
      );
    case "connect":
      return http1(
        `CONNECT t.r:80 HTTP/1.1\r\nHost: t.r\r\nProxy-Authorization: Bearer ${TOKEN}\r\n\r\nGET /n${n} HTTP/1.1\r\n\r\n`,
      );
    case "h2":
      return overHttp2({ ":path": path });
    case "h2-head":
      return overHttp2({ ":path": path, ":method": "HEAD" });
    case "h2-post":
      return overHttp2({ ":path": path, ":method": "POST" }, "abc");
    case "ws-h2":
      return overHttp2({
        ":path": path,
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "http",
        "sec-websocket-version": "13",
      });
  }
}

const random = new Random(seed);
await runCases(AT_ONCE, async (n) => {
  const kind = random.pick(KINDS);
  const response = hostileResponse(random);
  // A tunnel passes bytes: one that its target leaves open stays open.
  if ((kind === "connect" || kind.startsWith("ws")) && response.end === "keep") response.end = "end";
  responses.set(String(n), response);
  const { complete, hung } = await exchange(kind, n);
  responses.delete(String(n));
  const isHead = kind.endsWith("head") || kind === "connect";
  if (hung) report.add(`${n} ${kind}: hung: ${JSON.stringify(response)}`);
  // Half of the marks, taken for a whole response of the target's.
  else if (response.cut && complete !== undefined && /^(0123456789)+/.test(complete) && !isHead) {
    report.add(`${n} ${kind}: cut, and taken for complete: ${JSON.stringify(response)}`);
  }
});
await endWith(report, { agent, controlPlane }, DEADLINE_MS);
