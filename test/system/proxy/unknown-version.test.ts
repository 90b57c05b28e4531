/** A body without a length, for a target whose HTTP version is not known yet (RFC 9112 §6.1). */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { IncomingMessage, Server } from "node:http";
import { afterEach, describe, it } from "node:test";
import { UNKNOWN_TARGET_HOLD_BYTES } from "../../../src/control/limits.ts";
import { openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import { ending, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const POST = { method: "POST", path: via("/upload") };

/** Responds with the framing and the length of the body; `parts` reports each 'data' as it comes. */
async function startUploadTarget(parts = new EventEmitter()) {
  return startHttpTarget((request, response) => {
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      parts.emit("data", chunk);
    });
    request.on("end", () => {
      const { "content-length": length, "transfer-encoding": coding } = request.headers;
      response.end(`${coding ?? length ?? "none"} ${bytes}`);
    });
  });
}

async function nextRequest(server: Server): Promise<IncomingMessage> {
  const [request] = await next<[IncomingMessage]>(server, "request");
  return request;
}

for (const kind of PLAINTEXT_CALLERS) {
  describe(`a body without a length over ${kind}`, () => {
    it("is measured if it is short and complete", async () => {
      await using system = await startSystem({ target: await startUploadTarget() });
      await using caller = await openCaller(kind, system);
      const call = caller.open(POST);
      call.request.end("0123456789");
      const { body } = await within(call.response, "a response");
      assert.equal((await ending(body)).data.toString(), "10 10");
    });

    it("is held no longer than its first 64 KiB, then goes chunked while it is still being sent", async () => {
      const target = await startUploadTarget();
      await using system = await startSystem({ target });
      await using caller = await openCaller(kind, system);
      const arrived = nextRequest(target.http);
      const call = caller.open(POST);
      call.request.write(Buffer.alloc(UNKNOWN_TARGET_HOLD_BYTES + 1));
      const request = await arrived;
      assert.equal(request.headers["transfer-encoding"], "chunked");
      call.request.end("x");
      const { body } = await within(call.response, "a response");
      assert.equal((await ending(body)).data.toString(), `chunked ${UNKNOWN_TARGET_HOLD_BYTES + 2}`);
    });

    it("is held for a bounded time, however slowly it comes", async () => {
      const target = await startUploadTarget();
      await using system = await startSystem({ target });
      await using caller = await openCaller(kind, system);
      const arrived = nextRequest(target.http);
      const call = caller.open(POST);
      call.request.write("a");
      const request = await arrived; // the caller sends nothing more until then
      assert.equal(request.headers["transfer-encoding"], "chunked");
      call.request.end("b");
      const { body } = await within(call.response, "a response");
      assert.equal((await ending(body)).data.toString(), "chunked 2");
    });

    it("is not held back once the target has responded with HTTP/1.1", async () => {
      const parts = new EventEmitter();
      await using system = await startSystem({ target: await startUploadTarget(parts) });
      await using caller = await openCaller(kind, system);
      await caller.call({ path: via("/") });
      const first = next<[Buffer]>(parts, "data");
      const call = caller.open(POST);
      call.request.write("first");
      assert.equal(String((await first)[0]), "first"); // the second part does not exist yet
      call.request.end("second");
      const { body } = await within(call.response, "a response");
      assert.equal((await ending(body)).data.toString(), "chunked 11");
      // And one that is complete at once is not measured: nothing waits for its end.
      const whole = caller.open(POST);
      whole.request.end("0123456789");
      const response = await within(whole.response, "a response");
      assert.equal((await ending(response.body)).data.toString(), "chunked 10");
    });

    it("has its header sent without it while it does not come: the target may respond first", async () => {
      const target = await startUploadTarget();
      await using system = await startSystem({ target, agent: { connections: 1 } });
      await using caller = await openCaller(kind, system);
      await caller.call({ path: via("/") });
      for (const parts of [[], ["first"], ["first", "second"]]) {
        const arrived = nextRequest(target.http);
        const call = caller.open(POST);
        assert.equal((await within(arrived, "the header")).headers["transfer-encoding"], "chunked");
        for (const part of parts) call.request.write(part);
        call.request.end();
        const { body } = await within(call.response, "a response");
        const expected = `chunked ${parts.join("").length}`;
        assert.equal((await ending(body)).data.toString(), expected);
      }
      assert.equal(target.sockets.size, 1, "the connection is used again");
    });

    it("is not waited for where a GET has none, though it may come, of a target with HTTP/1.0", async () => {
      const target = await startRawTarget(({ socket }) => socket.end("HTTP/1.0 200 OK\r\n\r\nok"));
      await using system = await startSystem({ target });
      await using caller = await openCaller(kind, system);
      await caller.call({ path: via("/") });
      const headers = caller.isHttp2 ? {} : { "transfer-encoding": "chunked" };
      const open = caller.open({ path: via("/"), headers });
      assert.equal((await within(open.response, "a response")).status, 200);
      open.abort();
      const late = caller.open({ path: via("/"), headers });
      late.request.write("some ");
      setTimeout(() => late.request.end("content"), 20);
      const { body } = await within(late.response, "a response");
      assert.equal((await ending(body)).data.toString(), "ok");
      assert.match(target.heads.at(-1) ?? "", /^content-length: 12$/im);
    });

    it("is measured again once the target has responded with HTTP/1.0", async () => {
      const target = await startRawTarget(({ socket }) => socket.end("HTTP/1.0 200 OK\r\n\r\nok"));
      await using system = await startSystem({ target });
      await using caller = await openCaller(kind, system);
      await caller.call({ path: via("/") });
      const call = caller.open(POST);
      call.request.write(Buffer.alloc(UNKNOWN_TARGET_HOLD_BYTES + 1));
      call.request.end("x");
      const { body } = await within(call.response, "a response");
      assert.equal((await ending(body)).data.toString(), "ok");
      const [, head = ""] = target.heads;
      assert.match(head, new RegExp(`^content-length: ${UNKNOWN_TARGET_HOLD_BYTES + 2}$`, "im"));
      assert.doesNotMatch(head, /transfer-encoding/i);
    });
  });
}
