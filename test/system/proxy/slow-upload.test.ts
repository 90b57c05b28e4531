/** The time limit is for the target's response: it does not run while the caller is still sending. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { CALLERS, errorCode, openCaller, via } from "../../support/callers.ts";
import type { Call } from "../../support/callers.ts";
import { ending, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const LIMIT_MS = 300;

/** A caller on a slow line: a byte now and then, for several times the limit. */
async function drip({ request }: Call, bytes: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let sent = 0;
  const timer = setInterval(() => {
    request.write("x");
    sent += 1;
    if (sent === bytes) resolve();
  }, LIMIT_MS / 5);
  await promise;
  clearInterval(timer);
}

for (const kind of CALLERS) {
  describe(`an upload over ${kind}`, () => {
    for (const framing of ["of known length", "of unknown length"]) {
      it(`${framing} may take longer than the target's response may`, async () => {
        const target = await startHttpTarget((request, response) => {
          let bytes = 0;
          request.on("data", (chunk: Buffer) => (bytes += chunk.length));
          request.on("end", () => response.end(`${bytes}`));
        });
        await using system = await startSystem({
          tls: true,
          target,
          controlPlane: { responseTimeoutMs: LIMIT_MS },
        });
        await using caller = await openCaller(kind, system);
        await caller.call({ path: via("/") }); // its version is known from here on
        const headers = framing === "of known length" ? { "content-length": 20 } : {};
        const call = caller.open({ method: "POST", path: via("/upload"), headers });
        await drip(call, 20);
        call.request.end();
        const { status, body } = await within(call.response, "the response");
        assert.deepEqual([status, (await ending(body)).data.toString()], [200, "20"]);
      });
    }

    it("hits the limit when the target stays silent after its end", async () => {
      const target = await startHttpTarget((request) => void request.resume());
      await using system = await startSystem({
        tls: true,
        target,
        controlPlane: { responseTimeoutMs: LIMIT_MS },
      });
      await using caller = await openCaller(kind, system);
      const { status, text } = await caller.call({ method: "POST", path: via("/"), body: "whole" });
      assert.deepEqual([status, errorCode(text)], [504, "response_timeout"]);
    });
  });
}
