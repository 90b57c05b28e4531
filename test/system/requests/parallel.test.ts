/** Many at once: no caller gets the bytes of another, and a cancelled request affects no other. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import { CALLERS, openCaller, via } from "../../support/callers.ts";
import type { Caller } from "../../support/callers.ts";
import { startDoubles, viaMoonlight, viaWolf } from "../../support/doubles.ts";
import { eventually, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import { openWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

const COUNT = 20;

/** Payload of request `n`: different in length and in every byte's place. */
function payload(n: number): Buffer {
  const seed = createHash("sha256").update(String(n)).digest();
  return Buffer.alloc(1 + ((n * 7_919) % 100_000), seed);
}

/** Repeats the caller's number in its header, and sends the body back in pieces. */
async function startMirror() {
  return startHttpTarget((request, response) => {
    response.writeHead(200, { "x-who": String(request.headers["x-who"]) });
    request.pipe(response);
  });
}

async function exchange(caller: Caller, n: number): Promise<void> {
  const sent = payload(n);
  const response = await caller.call({
    method: "POST",
    path: via(`/${n}`),
    headers: { "x-who": String(n) },
    body: sent,
  });
  assert.deepEqual([response.status, response.headers["x-who"], response.kind], [200, String(n), "end"]);
  assert.ok(response.data.equals(sent), `request ${n} got other bytes than its own`);
}

for (const kind of CALLERS) {
  describe(`over ${kind}`, () => {
    for (const connections of [1, 3]) {
      it(`${COUNT} requests at once over ${connections} connection(s) get their own bytes`, async () => {
        await using system = await startSystem({
          tls: true,
          target: await startMirror(),
          agent: { connections },
        });
        await eventually(() => system.agent.connections === connections, "all connections");
        await using caller = await openCaller(kind, system);
        const numbers = Array.from({ length: COUNT }, (_, n) => n);
        await Promise.all(numbers.map((n) => exchange(caller, n)));
        await Promise.all(numbers.map((n) => exchange(caller, n + COUNT))); // over streams that are reused by now
      });
    }

    it("a cancelled request leaves the next one clean", async () => {
      await using system = await startSystem({ tls: true, target: await startMirror() });
      await using caller = await openCaller(kind, system);
      for (let n = 1; n <= 15; n += 1) {
        const cancelled = caller.open({
          method: "POST",
          path: via(`/cancelled/${n}`),
          headers: { "x-who": "cancelled", "content-length": 1_000_000 },
        });
        cancelled.request.on("error", () => {});
        cancelled.request.write(payload(n));
        if (n % 3 === 1) await within(cancelled.response, "the header of the cancelled one");
        if (n % 3 === 2) await next((await cancelled.response).body, "data");
        cancelled.abort();
        await exchange(caller, n);
      }
    });

    it("cancelled requests in the midst of others harm none of them", async () => {
      await using system = await startSystem({ tls: true, target: await startMirror() });
      await using caller = await openCaller(kind, system);
      const numbers = Array.from({ length: COUNT }, (_, n) => n);
      await Promise.all(
        numbers.map(async (n) => {
          if (n % 2 === 0) return exchange(caller, n);
          const headers = { "x-who": "cancelled", "content-length": 1_000_000 };
          const call = caller.open({ method: "POST", path: via("/cancelled"), headers });
          call.request.on("error", () => {});
          call.request.write(payload(n));
          if (n % 4 === 1) await within(call.response, "a header");
          call.abort();
        }),
      );
    });

    it("targets of different runners are not mistaken for each other", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openCaller(kind, doubles.system);
      const responses = await Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          const path = n % 2 === 0 ? viaWolf("/api/v1/apps") : viaMoonlight("/config.js");
          return (await caller.call({ path })).text;
        }),
      );
      for (const [n, text] of responses.entries())
        assert.match(text, n % 2 === 0 ? /Wolf UI/ : /path_prefix/);
    });

    it("WebSockets side by side keep their messages apart", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using stack = new AsyncDisposableStack();
      const callers = await Promise.all(
        Array.from({ length: 10 }, () => openWebSocket(kind, doubles.system, viaMoonlight("/api/ws/echo"))),
      );
      for (const caller of callers) stack.use(caller);
      for (let round = 1; round <= 5; round += 1) {
        for (const [n, { socket }] of callers.entries()) socket.send(`${n} in round ${round}`);
      }
      for (const [n, caller] of callers.entries()) {
        for (let round = 1; round <= 5; round += 1) {
          assert.equal(await caller.text(), `${n} in round ${round}`);
        }
      }
    });
  });
}
