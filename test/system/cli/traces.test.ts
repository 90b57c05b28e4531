/** One trace across caller, control plane, agent and target: its spans as a collector gets them from both processes. */
import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";
import { after, before, describe, it } from "node:test";
import { WebSocketServer } from "ws";
import type { SpanOptions } from "../../../src/index.ts";
import { run, startAgent, startServe } from "../../support/commands.ts";
import type { Command, ServeCommand } from "../../support/commands.ts";
import { next } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { startOtlpReceiver } from "../../support/otlp-receiver.ts";
import type { OtlpReceiver, ReceivedSpan } from "../../support/otlp-receiver.ts";
import { connectRaw, exchangeRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { refusingAddress, startHttpTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";
import { openWebSocket } from "../../support/websockets.ts";
import { via } from "../../support/callers.ts";

const [INTERNAL_KIND, SERVER_KIND, CLIENT_KIND, ERROR] = [1, 2, 3, 2];
const CONTROL = "turnabout-control-plane";
const AGENT = "turnabout-agent";
const CALLER_SPAN = "00f067aa0ba902b7";
const TRACESTATE = "vendor=t61rcWkgMzE";
let traces = 0;
let receiver: OtlpReceiver;
let serve: ServeCommand & { controlPlane: { port: number }; pki: undefined };
let agent: Command;
let target: TestTarget;
let refusing: string;
let seen: IncomingHttpHeaders = {};

before(async () => {
  receiver = await startOtlpReceiver();
  const http = await startHttpTarget(({ headers }, response) => {
    seen = headers;
    response.end("done");
  });
  target = http;
  new WebSocketServer({ server: http.http }).on("connection", (socket, { headers }) => {
    seen = headers;
    socket.on("message", (data) => socket.send(data));
  });
  refusing = await refusingAddress();
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, OTEL_BSP_SCHEDULE_DELAY: "20" };
  const started = await startServe([], { env });
  serve = Object.assign(started, { controlPlane: { port: started.port }, pki: undefined });
  agent = startAgent(
    serve.url,
    RUNNER,
    `${TARGET}=${target.address}`,
    ["--target", `closed=${refusing}`],
    env,
  );
  await serve.logged("agent connected");
});
after(async () => {
  await serve.end();
  await agent.end();
  await target.close();
  await receiver[Symbol.asyncDispose]();
});

/** A trace of a caller's own. */
function newTrace(): { traceId: string; fields: Record<string, string> } {
  traces += 1;
  const traceId = `4bf92f3577b34da6a3ce929d0e0e${String(traces).padStart(4, "0")}`;
  return { traceId, fields: { traceparent: `00-${traceId}-${CALLER_SPAN}-01`, tracestate: TRACESTATE } };
}

/** The three spans of a request, each the parent of the next. */
async function spansOf(traceId: string): Promise<[ReceivedSpan, ReceivedSpan, ReceivedSpan]> {
  const find = (service: string, kind: number): Promise<ReceivedSpan> =>
    receiver.spans.find(
      (span) => span.traceId === traceId && span.service === service && span.kind === kind,
      `a span of ${service} in ${traceId}`,
    );
  const served = await find(CONTROL, SERVER_KIND ?? 0);
  const attempt = await find(CONTROL, CLIENT_KIND ?? 0);
  const connect = await find(AGENT, CLIENT_KIND ?? 0);
  assert.equal(receiver.spans.all.filter((span) => span.traceId === traceId).length, 3);
  assert.deepEqual([attempt.parentSpanId, connect.parentSpanId], [served.spanId, attempt.spanId]);
  for (const span of [served, attempt, connect]) {
    assert.equal(span.attributes["turnabout.request_id"], served.attributes["turnabout.request_id"]);
    assert.equal(span.attributes["turnabout.runner"], RUNNER);
    // The address stays at the agent.
    assert.equal(span.attributes["server.address"], span === connect ? "127.0.0.1" : undefined);
    assert.ok(span.durationMs >= 0);
  }
  return [served, attempt, connect];
}

describe("a trace that the caller has begun", () => {
  it("has a request at the control plane, its attempt, and the connect at the agent", async () => {
    const { traceId, fields } = newTrace();
    const path = `${via("/a")}?password=s3cret-of-a-query`;
    const { headers } = await call(`${serve.url}${path}`, { headers: fields });
    const [served, attempt, connect] = await spansOf(traceId);
    assert.equal(served.parentSpanId, CALLER_SPAN);
    assert.deepEqual([served.name, connect.name], ["GET", "connect"]);
    assert.deepEqual([served.status, attempt.status, connect.status], [0, 0, 0]);
    const { attributes } = served;
    assert.equal(attributes["turnabout.request_id"], headers["x-request-id"]);
    assert.deepEqual(
      [attributes["http.request.method"], attributes["url.path"], attributes["url.query"]],
      ["GET", via("/a"), "password=*"],
    );
    assert.deepEqual(
      [attributes["http.response.status_code"], attributes["http.response.body.size"]],
      [200, 4],
    );
    assert.equal(`127.0.0.1:${connect.attributes["server.port"]}`, target.address);
    // The target's own span is a part of the attempt.
    assert.deepEqual(
      [seen["traceparent"], seen["tracestate"]],
      [`00-${traceId}-${attempt.spanId}-01`, TRACESTATE],
    );
    const line = await serve.output.find((text) => text.includes(traceId), "its line of the access log");
    assert.equal((JSON.parse(line) as { id: string }).id, headers["x-request-id"]);
  });

  it("has a WebSocket for as long as it is open", async () => {
    const { traceId, fields } = newTrace();
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, ...fields };
    const caller = await openWebSocket("HTTP/1.1", serve, via("/ws"), { headers });
    await receiver.spans.find(
      (span) => span.traceId === traceId && span.service === AGENT,
      "the agent's span",
    );
    caller.socket.send("hello");
    await caller.message();
    assert.ok(!receiver.spans.all.some((span) => span.traceId === traceId && span.kind === SERVER_KIND));
    caller.socket.close();
    await caller.closed;
    const [served, attempt] = await spansOf(traceId);
    assert.equal(served.attributes["http.response.status_code"], 101);
    assert.equal(seen["traceparent"], `00-${traceId}-${attempt.spanId}-01`);
    await caller[Symbol.asyncDispose]();
  });

  it("has a CONNECT, and its attempt is the dial", async () => {
    const { traceId, fields } = newTrace();
    const lines = `Proxy-Authorization: Bearer ${ADMIN_TOKEN}\r\ntraceparent: ${fields["traceparent"]}\r\n`;
    const inner = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const head = `CONNECT ${TARGET}.${RUNNER} HTTP/1.1\r\nHost: x\r\n${lines}\r\n`;
    await exchangeRaw(serve.port, `${head}${inner}`);
    const [served, attempt] = await spansOf(traceId);
    assert.deepEqual([served.name, served.parentSpanId], ["CONNECT", CALLER_SPAN]);
    assert.ok(attempt.durationMs <= served.durationMs);
    assert.equal(seen["traceparent"], undefined, "what passes through is the caller's alone");
  });

  it("says at all three where it has failed, and so do both logs", async () => {
    const { traceId, fields } = newTrace();
    await call(`${serve.url}${via("/", "closed")}`, { headers: fields });
    const spans = await spansOf(traceId);
    for (const { status, attributes } of spans) {
      assert.deepEqual([status, attributes["error.type"]], [ERROR, "target_refused"]);
    }
    assert.equal(spans[2].attributes["turnabout.errno"], "ECONNREFUSED");
    for (const { lines } of [serve, agent]) {
      await lines.find((line) => line["traceId"] === traceId, "a log line with the trace");
    }
  });
});

it("a request to the API has a span, and one without a valid credential none", async () => {
  const [anonymous, own] = [newTrace(), newTrace()];
  await call(`${serve.url}/api/v1/runners`, { token: null, headers: anonymous.fields });
  const { headers } = await call(`${serve.url}/api/v1/runners?x=s3cret-of-a-query`, { headers: own.fields });
  const isOwn = ({ traceId }: ReceivedSpan): boolean => traceId === own.traceId;
  const span = await receiver.spans.find(isOwn, "the span");
  assert.deepEqual([span.name, span.kind, span.parentSpanId], ["GET", SERVER_KIND, CALLER_SPAN]);
  const { attributes } = span;
  assert.equal(attributes["turnabout.request_id"], headers["x-request-id"]);
  assert.deepEqual(
    [attributes["url.path"], attributes["turnabout.way"], attributes["http.response.status_code"]],
    ["/api/v1/runners", "api", 200],
  );
  assert.ok(!receiver.spans.all.some(({ traceId }) => traceId === anonymous.traceId));
});

it("a trace is begun where the caller has none, or one that is not valid", async () => {
  for (const traceparent of [undefined, `00-${"0".repeat(32)}-${CALLER_SPAN}-01`, "garbage"]) {
    const fields = { ...(traceparent !== undefined && { traceparent }), tracestate: TRACESTATE };
    await call(`${serve.url}${via("/made")}`, { headers: fields });
    const [, traceId = ""] = String(seen["traceparent"]).split("-");
    assert.match(traceId, /^(?!0+$)[0-9a-f]{32}$/);
    assert.equal(seen["tracestate"], undefined);
    const served = await receiver.spans.find(
      (span) => span.traceId === traceId && span.kind === SERVER_KIND,
      "the first span",
    );
    assert.equal(served.parentSpanId, "");
  }
});

it("a caller without a valid credential is not traced", async () => {
  const { traceId, fields } = newTrace();
  await call(`${serve.url}${via("/")}`, { token: null, headers: fields });
  const later = newTrace();
  await call(`${serve.url}${via("/")}`, { headers: later.fields });
  await receiver.spans.find(
    (span) => span.traceId === later.traceId && span.kind === SERVER_KIND,
    "a later span",
  );
  assert.ok(!receiver.spans.all.some((span) => span.traceId === traceId));
});

it("no secret is in what the collector gets", () => {
  const bodies = receiver.bodies.join("\n");
  assert.ok(bodies.includes("password=*"));
  for (const secret of [ADMIN_TOKEN, "s3cret-of-a-query"]) assert.ok(!bodies.includes(secret), secret);
});

it("a control plane that does not trace passes the caller's trace to the agent as it is", async () => {
  const starts: SpanOptions[] = [];
  await using system = await startSystem({
    agent: {
      tracing: {
        start: (_name, options) => {
          starts.push(options);
          return undefined;
        },
      },
    },
  });
  const { fields } = newTrace();
  const lines = Object.entries({ ...fields, "proxy-authorization": `Bearer ${ADMIN_TOKEN}` });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const socket = await connectRaw(system.controlPlane.port);
  socket.write(`CONNECT ${TARGET}.${RUNNER} HTTP/1.1\r\nHost: x\r\n${head}\r\n`);
  await next(socket, "data");
  socket.destroy();
  assert.deepEqual(
    starts.map(({ parent }) => parent),
    [{ traceparent: fields["traceparent"], tracestate: TRACESTATE }],
  );
});

it("a dial of the library is a part of the trace in which it is made", async () => {
  const starts: [string, SpanOptions][] = [];
  await using system = await startSystem({
    controlPlane: {
      tracing: {
        start: (name, options) => {
          starts.push([name, options]);
          return undefined;
        },
      },
    },
  });
  (await system.controlPlane.dial(RUNNER, TARGET)).destroy();
  assert.deepEqual(
    starts.map(([name, { kind, parent, isRoot }]) => [name, kind, parent, isRoot]),
    [["dial", "internal", undefined, undefined]],
  );
  assert.equal(INTERNAL_KIND, 1);
});

it("packages that are missing are named", async () => {
  const hook = `import{registerHooks}from"node:module";registerHooks({resolve(s,c,n){if(s==="@opentelemetry/sdk-trace")throw new Error("none");return n(s,c)}})`;
  const { code, stderr } = await run("turnabout", ["serve", "--port", "0"], {
    env: {
      TURNABOUT_ADMIN_TOKEN: ADMIN_TOKEN,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hook)}`,
    },
  });
  assert.notEqual(code, 0);
  assert.match(
    stderr,
    /error: .*OpenTelemetry's SDK cannot be loaded\n.*hint: npm install @opentelemetry\/api/s,
  );
});
