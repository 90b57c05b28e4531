/** Exchanges that end early: responses before the end of the request, callers that disconnect. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { CALLERS, openCaller, via } from "../../support/callers.ts";
import { startDoubles, viaWolf } from "../../support/doubles.ts";
import { ending, eventually, next, within } from "../../support/events.ts";
import { flood } from "../../support/flood.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

/** Far more than all buffers between caller and target hold. */
const ENDLESS_BYTES = 1024 * 1024 * 1024;

for (const kind of CALLERS) {
  describe(`over ${kind}`, () => {
    for (const connection of ["close", "keep-alive"]) {
      it(`413 with Connection: ${connection} reaches a caller that has hardly begun to send`, async () => {
        const target = await startTarget((socket) => {
          socket.once("data", () => {
            socket.write(
              `HTTP/1.1 413 No\r\nConnection: ${connection}\r\nContent-Length: 9\r\n\r\ntoo large`,
            );
            if (connection === "close") socket.end(); // and reads on for a while, as nginx and Go do
            socket.resume();
          });
        });
        await using system = await startSystem({ tls: true, target });
        await using caller = await openCaller(kind, system);
        const headers = { "content-length": ENDLESS_BYTES };
        const call = caller.open({ method: "POST", path: via("/upload"), headers });
        const { request } = call;
        request.on("error", () => {}); // the rest is not wanted, and the caller may get an error
        const stop = flood(request);
        const { status, body } = await within(call.response, "the early response");
        const { kind: how, data } = await ending(body);
        stop();
        assert.deepEqual([status, how, data.toString()], [413, "end", "too large"]);
        call.abort();
        await eventually(() => target.sockets.size === 0, "the target's connection closed");
      });
    }

    for (const on of ["unix", "tcp"] as const) {
      it(`a caller that disconnects while it waits is disconnected from a target on ${on} too`, async () => {
        const target = await startTarget(() => {}, { on });
        await using system = await startSystem({ tls: true, target });
        await using caller = await openCaller(kind, system);
        const call = caller.open({ path: via("/slow") });
        call.request.end();
        const socket = await within(target.accepted(), "the target's connection");
        const end = ending(socket);
        await next(socket, "data");
        call.abort();
        // A Unix socket knows no reset.
        assert.equal((await end).kind, on === "tcp" ? "error" : "end");
      });
    }

    it("a caller that disconnects in the middle of a response is disconnected from Wolf too", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openCaller(kind, doubles.system);
      const call = caller.open({ path: viaWolf(`/double/blob?bytes=${ENDLESS_BYTES}`) });
      call.request.end();
      const { body } = await within(call.response, "the header");
      await next(body, "data");
      call.abort();
      await within(doubles.wolf.whenIdle(), "Wolf's connection closed");
    });

    it("a caller that disconnects in the middle of its upload is a reset at the target too", async () => {
      const target = await startTarget();
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const headers = { "content-length": 1_000 };
      const call = caller.open({ method: "POST", path: via("/upload"), headers });
      call.request.on("error", () => {});
      call.request.write("only this");
      const socket = await within(target.accepted(), "the target's connection");
      const end = ending(socket);
      await next(socket, "data");
      call.abort();
      assert.deepEqual([(await end).kind, (await end).code], ["error", "ECONNRESET"]);
    });
  });
}
