/** What all typed clients stand on: one request, one connection, and bounds. */
import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { Duplex } from "node:stream";
import { afterEach, test } from "node:test";
import { HttpService } from "../../src/clients/http/service.ts";
import { overUnixSocket } from "../../src/clients/dial/open-stream.ts";
import type { OpenStream } from "../../src/clients/dial/open-stream.ts";
import { next, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startTarget } from "../support/target.ts";
import { code } from "./reach.ts";

afterEach(() => assertNothingOpen());

const get = { method: "GET" as const, path: "/" };

function serve(open: OpenStream): HttpService {
  return new HttpService(open, {
    name: "service",
    calls: { open: 1, waiting: 1 },
    streams: { open: 1, waiting: 0 },
    maxResponseBytes: 1_024,
  });
}

test("gives up a connection that never comes, and closes one that comes too late", async () => {
  const { promise, resolve } = Promise.withResolvers<Duplex>();
  const service = serve(() => promise);
  const late = new Duplex({ read() {} });
  await assert.rejects(service.whole(get, 20, {}), code("tunnel_timeout"));
  const closed = next(late, "close");
  resolve(late);
  await closed;
});

test("opens no Unix socket for a call that has been aborted", async () => {
  await using target = await startTarget(() => {}, { on: "unix" });
  const open = overUnixSocket(target.address.slice("unix:".length));
  await assert.rejects(open(AbortSignal.abort()), code("aborted"));
});

test("refuses at once what would wait for too long a queue", async () => {
  const service = serve(() => new Promise(() => {}));
  const first = assert.rejects(service.whole(get, 1_000, {}), code("tunnel_timeout"));
  const second = assert.rejects(service.whole(get, 20, {}), code("overloaded"));
  await assert.rejects(service.whole(get, 1_000, {}), code("overloaded"));
  await Promise.all([first, second]);
});

test("ends a response that stalls, and one that is aborted", async () => {
  await using target = await startTarget(
    (socket) => {
      socket.write("HTTP/1.0 200 OK\r\n\r\nsome");
      socket.once("end", () => socket.destroy());
      socket.resume();
    },
    { on: "unix" },
  );
  const service = serve(overUnixSocket(target.address.slice("unix:".length)));
  const silent = await service.stream({ ...get, silenceTimeoutMs: 50 }, 1_000, {});
  const read = async (body: AsyncIterable<Buffer>): Promise<string> => {
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return String(Buffer.concat(chunks));
  };
  await assert.rejects(read(silent.body), code("response_timeout"));
  const giveUp = new AbortController();
  const aborted = await service.stream(get, 1_000, { signal: giveUp.signal });
  await assert.rejects(service.stream(get, 1_000, {}), code("overloaded"), "one stream at a time");
  giveUp.abort();
  await assert.rejects(read(aborted.body), code("aborted"));
  const closed = await service.stream(get, 1_000, {});
  await closed.close();
  await closed.close();
  assert.equal(await within(read(closed.body), "the end of a closed body"), "");
});

test("adds nothing to a signal that lives for longer than its calls", async () => {
  await using target = await startTarget((socket) => socket.end("HTTP/1.0 200 OK\r\n\r\nfine"), {
    on: "unix",
  });
  const service = serve(overUnixSocket(target.address.slice("unix:".length)));
  const { signal } = new AbortController();
  for (let n = 0; n < 3; n += 1) {
    assert.equal(String((await service.whole(get, 1_000, { signal })).body), "fine");
    const response = await service.stream(get, 1_000, { signal });
    await response.close();
  }
  assert.deepEqual(getEventListeners(signal, "abort"), []);
});

test("takes no path that would break the request line", async () => {
  const service = serve(() => assert.fail("nothing is opened"));
  for (const path of ["/a b", "/a\r\nHost: b", "/ü", ""]) {
    await assert.rejects(service.whole({ method: "GET", path }, 1_000, {}), code("bad_request"));
  }
});
