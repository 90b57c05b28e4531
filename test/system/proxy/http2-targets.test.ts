/** A target that speaks HTTP/2, through the API route: features of HTTP/2 pass both ways. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import type { ClientHttp2Stream, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { PASSED_INFORMATIONAL_RESPONSES } from "../../../src/control/limits.ts";
import { errorCode, openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import type { Call } from "../../support/callers.ts";
import { ending, eventually, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { dataFrame, encodeFrame, FRAME, headersFrame, readFrames } from "../../support/http2-frames.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttp2Target, startHttpTarget, startTarget } from "../../support/target.ts";
import type { Http2TestTarget } from "../../support/target.ts";
import { refusedWebSocket } from "../../support/websockets.ts";

const {
  NGHTTP2_CANCEL: CANCEL,
  NGHTTP2_ENHANCE_YOUR_CALM: ENHANCE_YOUR_CALM,
  NGHTTP2_FLOW_CONTROL_ERROR: FLOW_CONTROL_ERROR,
  NGHTTP2_INTERNAL_ERROR: INTERNAL_ERROR,
  NGHTTP2_NO_ERROR: NO_ERROR,
  NGHTTP2_REFUSED_STREAM: REFUSED_STREAM,
} = http2.constants;
const H2 = "HTTP/2 by prior knowledge";
const MB = 1024 * 1024;

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, raw: readonly string[]) => void;

interface Stand extends AsyncDisposable {
  readonly system: System;
  readonly target: Http2TestTarget;
  /** Sessions that the target has seen so far. */
  sessions(): number;
}

async function startStand(onStream: OnStream, settings: http2.Settings = {}): Promise<Stand> {
  const target = await startHttp2Target(onStream, { settings });
  let sessions = 0;
  target.server.on("session", () => (sessions += 1));
  const system = await startSystem({ target, agents: 0 });
  await system.addAgent({ [RUNNER]: { [TARGET]: `${target.address};http=2` } });
  return { system, target, sessions: () => sessions, [Symbol.asyncDispose]: () => system.close() };
}

/** Responds when the request has ended, with its body. */
function echo(stream: ServerHttp2Stream): void {
  void ending(stream).then(({ kind, data }) => {
    if (kind !== "end" || stream.destroyed) return;
    stream.respond({ ":status": 200 });
    stream.end(data);
  });
}

/** With content, whatever the request and the status are. node's own server would leave that out. */
async function respondWithContent(socket: Socket, status: () => number): Promise<void> {
  socket.write(encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.alloc(0)));
  for await (const { type, stream } of readFrames(socket, 24)) {
    if (type !== FRAME.HEADERS) continue;
    socket.write(headersFrame(stream, [[":status", String(status())]], false));
    socket.write(dataFrame(stream, "content", true));
  }
}

/** How the caller's stream closed: its code, and whether it could be taken for complete. */
async function closing(call: Call): Promise<{ code: number; looksComplete: boolean }> {
  const stream = call.request as ClientHttp2Stream;
  let hasEnded = false;
  stream.once("end", () => (hasEnded = stream.rstCode === NO_ERROR));
  stream.resume();
  if (!stream.destroyed)
    await within(
      once(stream, "close").catch(() => {}),
      "the end of the caller's stream",
    );
  return { code: stream.rstCode, looksComplete: hasEnded && stream.rstCode === NO_ERROR };
}

afterEach(() => assertNothingOpen());

for (const kind of PLAINTEXT_CALLERS) {
  describe(`an HTTP/2 target, called over ${kind}`, () => {
    it("gets the request, and its response comes back with trailers", async () => {
      await using stand = await startStand((stream, headers) => {
        void ending(stream).then(({ data }) => {
          const fields = { "x-path": headers[":path"], "x-method": headers[":method"] };
          stream.respond({ ":status": 201, ...fields }, { waitForTrailers: true });
          stream.once("wantTrailers", () => stream.sendTrailers({ "x-checksum": "abc" }));
          stream.end(data);
        });
      });
      await using caller = await openCaller(kind, stand.system);
      const response = await caller.call({ method: "POST", path: via("/a%2Fb?c=%20d"), body: "hello" });
      assert.deepEqual(
        [
          response.status,
          response.headers["x-path"],
          response.headers["x-method"],
          response.text,
          response.kind,
        ],
        [201, "/a%2Fb?c=%20d", "POST", "hello", "end"],
      );
      assert.equal(response.trailers["x-checksum"], "abc");
    });

    it("sends 103 before its response", async () => {
      await using stand = await startStand((stream) => {
        stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
        stream.respond({ ":status": 200 });
        stream.end("body");
      });
      await using caller = await openCaller(kind, stand.system);
      const call = caller.open({ path: via("/"), bodyless: true });
      if (!caller.isHttp2) call.request.end();
      const { status, body } = await within(call.response, "the response");
      assert.deepEqual([status, call.informational[0]?.status], [200, 103]);
      assert.equal(String((await ending(body)).data), "body");
    });

    it("is disconnected when it sends 103s without end, and the caller gets a few of them and 502", async () => {
      const closed = Promise.withResolvers<void>();
      await using stand = await startStand((stream) => {
        stream.session?.once("close", () => closed.resolve());
        const send = (): void => {
          for (let n = 0; n < 100 && !stream.destroyed && !stream.closed; n += 1) {
            stream.additionalHeaders({ ":status": 103, link: "</a.css>; rel=preload" });
          }
          if (!stream.destroyed && !stream.closed) setImmediate(send);
        };
        send();
      });
      await using caller = await openCaller(kind, stand.system);
      const call = caller.open({ path: via("/"), bodyless: true });
      if (!caller.isHttp2) call.request.end();
      const { status, body } = await within(call.response, "the response");
      assert.equal(status, 502);
      assert.equal(errorCode(String((await ending(body)).data)), "target_protocol");
      assert.equal(call.informational.length, PASSED_INFORMATIONAL_RESPONSES);
      await within(closed.promise, "the end of the target's connection");
    });

    it("gets the end-to-end fields and no others", async () => {
      let seen: readonly string[] = [];
      await using stand = await startStand((stream, _headers, raw) => {
        seen = raw;
        stream.respond({ ":status": 200, "x-a": ["1", "2"], "set-cookie": ["a=1", "b=2"] });
        stream.end();
      });
      await using caller = await openCaller(kind, stand.system);
      const headers = { te: "trailers", "x-own": "1", "x-forwarded-for": "6.6.6.6", cookie: "a=1; b=2" };
      const response = await caller.call({ path: via("/"), headers });
      assert.deepEqual(response.headers["x-a"], "1, 2");
      const names = seen.filter((_item, index) => index % 2 === 0);
      for (const name of ["authorization", "connection", "host", "transfer-encoding"]) {
        assert.ok(!names.includes(name), name);
      }
      assert.equal(seen[names.indexOf("x-forwarded-for") * 2 + 1], "127.0.0.1");
      assert.equal(seen[names.indexOf("x-own") * 2 + 1], "1");
      assert.equal(seen[names.indexOf("cookie") * 2 + 1], "a=1; b=2");
    });

    it("brings 8 MB there and back, past a caller who reads nothing", async () => {
      await using stand = await startStand((stream, headers) => {
        if (headers[":path"] !== "/stalled") return echo(stream);
        stream.respond({ ":status": 200 });
        stream.end(Buffer.alloc(4 * MB));
      });
      await using caller = await openCaller(kind, stand.system);
      const stalled = caller.open({ path: via("/stalled"), bodyless: true });
      if (!caller.isHttp2) stalled.request.end();
      const { body } = await within(stalled.response, "the header");
      body.pause();
      const sent = Buffer.alloc(8 * MB, "0123456789abcdef");
      const response = await caller.call({ method: "POST", path: via("/echo"), body: sent });
      assert.ok(response.data.equals(sent));
      assert.equal((await ending(body)).data.length, 4 * MB);
    });

    it("gets CANCEL and no END_STREAM when the caller breaks off", async () => {
      const streams: ServerHttp2Stream[] = [];
      await using stand = await startStand((stream) => void streams.push(stream));
      await using caller = await openCaller(kind, stand.system);
      for (const hasResponse of [false, true]) {
        const call = caller.open({ method: "POST", path: via("/"), headers: { "content-length": "100" } });
        call.request.on("error", () => {});
        call.request.write("part");
        await eventually(() => streams.length > 0, "the request at the target");
        const [stream] = streams.splice(0);
        assert.ok(stream);
        const [bytes] = await next<[Buffer]>(stream, "data");
        assert.equal(String(bytes), "part");
        if (hasResponse) {
          stream.respond({ ":status": 200 });
          stream.write("x");
          await within(call.response, "the header");
        }
        let hasEnded = false;
        stream.once("end", () => (hasEnded = stream.rstCode === NO_ERROR));
        const closed = next(stream, "close");
        call.abort();
        await closed;
        assert.deepEqual([stream.rstCode, hasEnded], [CANCEL, false]);
      }
    });

    it("is refused for what it is not: 502, at once", async () => {
      await using target = await startHttpTarget((_request, response) => response.end("HTTP/1.1"));
      await using silent = await startTarget((socket) => socket.end());
      await using system = await startSystem({ target, agents: 0 });
      await system.addAgent({
        [RUNNER]: { [TARGET]: `${target.address};http=2`, gone: `${silent.address};http=2` },
      });
      await using caller = await openCaller(kind, system);
      for (const name of [TARGET, "gone"]) {
        const response = await caller.call({ path: via("/", name) });
        assert.deepEqual([response.status, errorCode(response.text)], [502, "target_protocol"]);
      }
    });

    it("takes no WebSockets", async () => {
      await using stand = await startStand(echo);
      const { status } = await refusedWebSocket(kind, stand.system, via("/"));
      assert.equal(status, 501);
    });
  });
}

describe("an HTTP/2 target, called over HTTP/2", () => {
  it("gets the request's trailers, except those that we set", async () => {
    const trailers = Promise.withResolvers<IncomingHttpHeaders>();
    await using stand = await startStand((stream) => {
      stream.once("trailers", (fields) => trailers.resolve(fields));
      echo(stream);
    });
    await using caller = await openCaller(H2, stand.system);
    const call = caller.open({ method: "POST", path: via("/") });
    const session = (call.request as ClientHttp2Stream).session as http2.ClientHttp2Session;
    call.abort();
    const own = session.request(
      { ":method": "POST", ":path": via("/"), authorization: `Bearer ${ADMIN_TOKEN}` },
      { waitForTrailers: true },
    );
    own.once("wantTrailers", () => {
      own.sendTrailers({
        "x-sum": "7",
        "x-forwarded-for": "6.6.6.6",
        authorization: "Bearer x",
        x_real_ip: "1",
      });
    });
    own.end("body");
    const seen = await within(trailers.promise, "trailers at the target");
    assert.deepEqual(Object.entries(seen), [["x-sum", "7"]]);
    assert.equal(String((await ending(own)).data), "body");
  });

  it("can respond with a header that ends the stream", async () => {
    await using stand = await startStand((stream) => {
      stream.respond(
        { ":status": 200, "grpc-status": "5", "content-type": "application/grpc" },
        { endStream: true },
      );
    });
    await using caller = await openCaller(H2, stand.system);
    const call = caller.open({ method: "POST", path: via("/") });
    call.request.end("x");
    const [headers, flags] = await next<[IncomingHttpHeaders, number]>(call.request, "response");
    assert.equal(headers["grpc-status"], "5");
    assert.equal(flags & http2.constants.NGHTTP2_FLAG_END_STREAM, 1);
  });

  it("talks both ways at once", async () => {
    await using stand = await startStand((stream) => {
      stream.respond({ ":status": 200 });
      stream.on("data", (chunk: Buffer) => stream.write(chunk));
      stream.once("end", () => stream.end());
    });
    await using caller = await openCaller(H2, stand.system);
    const call = caller.open({ method: "POST", path: via("/") });
    const { body } = await within(call.response, "a header before any of the request's body");
    for (const word of ["one", "two"]) {
      const data = next<[Buffer]>(body, "data");
      call.request.write(word);
      assert.equal(String((await data)[0]), word);
    }
    const end = ending(body);
    call.request.end();
    assert.equal((await end).kind, "end");
  });

  const resets: [string, (stream: ServerHttp2Stream) => void, number][] = [
    ["CANCEL", (stream) => stream.close(CANCEL), CANCEL],
    ["ENHANCE_YOUR_CALM", (stream) => stream.close(ENHANCE_YOUR_CALM), ENHANCE_YOUR_CALM],
    ["REFUSED_STREAM", (stream) => stream.close(REFUSED_STREAM), INTERNAL_ERROR],
    ["FLOW_CONTROL_ERROR", (stream) => stream.close(FLOW_CONTROL_ERROR), INTERNAL_ERROR],
    ["INTERNAL_ERROR", (stream) => stream.destroy(new Error("broken")), INTERNAL_ERROR],
    ["NO_ERROR before END_STREAM", (stream) => stream.destroy(), INTERNAL_ERROR],
    ["the end of its connection", (stream) => stream.session?.socket.destroy(), INTERNAL_ERROR],
  ];
  // node's close(code) sends END_STREAM before it, but for streams that wait for trailers. Of a request that has ended
  // such a response is complete, and nghttp2 drops the reset.
  for (const waitForTrailers of [true, false]) {
    const how = waitForTrailers ? "of a request that has ended" : "of one that has not";
    for (const [name, reset, code] of resets) {
      it(`resets in the middle of a body with ${name}, ${how}: no clean end`, async () => {
        await using stand = await startStand((stream) => {
          stream.respond({ ":status": 200 }, { waitForTrailers });
          stream.write("part");
          stream.on("close", () => {});
          stream.session?.socket.on("error", () => {});
          setImmediate(() => void stream.write("more", () => reset(stream)));
        });
        await using caller = await openCaller(H2, stand.system);
        const call = caller.open({ method: "POST", path: via("/"), bodyless: waitForTrailers });
        await within(call.response, "the header");
        assert.deepEqual(await closing(call), { code, looksComplete: false });
      });
    }
  }

  it("sends content that a response has none of: its header is all of it", async () => {
    let current = 0;
    await using target = await startTarget((socket) => {
      respondWithContent(socket, () => current).catch(() => {}); // until it is closed
    });
    await using system = await startSystem({ target, agents: 0 });
    await system.addAgent({ [RUNNER]: { [TARGET]: `${target.address};http=2` } });
    for (const kind of PLAINTEXT_CALLERS) {
      await using caller = await openCaller(kind, system);
      for (const [method, status] of [
        ["HEAD", 200],
        ["GET", 204],
        ["GET", 304],
      ] as const) {
        current = status;
        const response = await caller.call({ method, path: via("/"), bodyless: true });
        assert.deepEqual([response.status, response.kind, response.text], [status, "end", ""], kind);
      }
    }
  });

  it("responds early and declines the rest of the request: RFC 9113 §8.1", async () => {
    await using stand = await startStand((stream) => {
      stream.respond({ ":status": 413 });
      stream.end("too much", () => stream.close(NO_ERROR));
    });
    await using caller = await openCaller(H2, stand.system);
    const call = caller.open({ method: "POST", path: via("/") });
    call.request.write("x");
    const { status, body } = await within(call.response, "an early response");
    const { kind, data } = await ending(body);
    assert.deepEqual([status, kind, String(data)], [413, "end", "too much"]);
  });

  it("resets before its response: 502 to most, and the reset itself to gRPC", async () => {
    await using stand = await startStand((stream) => stream.close(CANCEL));
    await using caller = await openCaller(H2, stand.system);
    const response = await caller.call({ method: "POST", path: via("/"), body: "x" });
    assert.deepEqual([response.status, errorCode(response.text)], [502, "target_closed"]);
    const call = caller.open({
      method: "POST",
      path: via("/"),
      headers: { "content-type": "application/grpc+proto" },
    });
    call.request.end("x");
    assert.deepEqual(await closing(call), { code: CANCEL, looksComplete: false });
  });

  it("refuses a stream, and gets the request again, its body included", async () => {
    let refused = 0;
    await using stand = await startStand((stream) => {
      if (refused >= 2) return echo(stream);
      refused += 1;
      stream.close(REFUSED_STREAM);
    });
    await using caller = await openCaller(H2, stand.system);
    const response = await caller.call({ method: "POST", path: via("/"), body: "hello" });
    assert.deepEqual([response.status, response.text, refused], [200, "hello", 2]);
    refused = -10;
    const never = await caller.call({ method: "POST", path: via("/"), body: "hello" });
    assert.deepEqual([never.status, errorCode(never.text)], [503, "overloaded"]);
    assert.equal(refused, -7, "three attempts");
  });

  it("sends GOAWAY: requests in flight finish, and new ones take another connection", async () => {
    const streams: ServerHttp2Stream[] = [];
    await using stand = await startStand((stream, headers) => {
      if (headers[":path"] === "/slow") streams.push(stream);
      else echo(stream);
    });
    await using caller = await openCaller(H2, stand.system);
    const slow = caller.open({ path: via("/slow"), bodyless: true });
    await eventually(() => streams.length === 1, "the slow request");
    const [first] = streams;
    assert.ok(first?.session);
    (first.session as http2.ServerHttp2Session).close();
    for (let n = 0; n < 3; n += 1) {
      const response = await caller.call({ method: "POST", path: via("/"), body: `${n}` });
      assert.deepEqual([response.status, response.text], [200, `${n}`]);
    }
    assert.equal(stand.sessions(), 2);
    first.respond({ ":status": 200 });
    first.end("late");
    const { body } = await within(slow.response, "the slow response");
    assert.equal(String((await ending(body)).data), "late");
  });

  it("gets all requests on one connection, never more at once than it allows", async () => {
    let open = 0;
    let maxOpen = 0;
    await using stand = await startStand(
      (stream) => {
        open += 1;
        maxOpen = Math.max(maxOpen, open);
        stream.once("close", () => (open -= 1));
        echo(stream);
      },
      { maxConcurrentStreams: 3 },
    );
    await using caller = await openCaller(H2, stand.system);
    const bodies = Array.from({ length: 40 }, (_item, n) => `${n}`);
    const responses = await Promise.all(
      bodies.map((body) => caller.call({ method: "POST", path: via("/"), body })),
    );
    assert.deepEqual(
      responses.map(({ text }) => text),
      bodies,
    );
    assert.ok(maxOpen <= 3, `${maxOpen} at once`);
    assert.equal(stand.sessions(), 1);
  });

  it("keeps serving when callers break off while all streams are in use", async () => {
    const held: ServerHttp2Stream[] = [];
    await using stand = await startStand(
      (stream, headers) => {
        if (headers[":path"] === "/hold") held.push(stream);
        else echo(stream);
      },
      { maxConcurrentStreams: 4 },
    );
    await using caller = await openCaller(H2, stand.system);
    const calls = Array.from({ length: 4 }, () => caller.open({ path: via("/hold"), bodyless: true }));
    await eventually(() => held.length === 4, "all the streams that the target allows");
    const waiting = Array.from({ length: 20 }, (_item, n) =>
      caller.call({ method: "POST", path: via("/"), body: `${n}` }),
    );
    await caller.call({ path: "/api/v1/runners" }); // the others have been taken in as well
    for (const call of calls) call.abort();
    const responses = await Promise.all(waiting);
    assert.deepEqual(
      responses.map(({ status, text }) => `${status} ${text}`),
      responses.map((_response, n) => `200 ${n}`),
    );
    assert.equal(stand.sessions(), 1);
  });
});
