import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { assertEchoes } from "../../support/agents.ts";
import { next } from "../../support/events.ts";
import { call, open, targetUrl } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

describe("many dials of one runner at once", () => {
  it("get a stream each: no caller sees the bytes of another", async () => {
    await using system = await startSystem({ agent: { connections: 2 } });
    const responses = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const socket = await system.controlPlane.dial(RUNNER, TARGET);
        socket.end(`caller ${i}`);
        let text = "";
        for await (const chunk of socket) text += String(chunk);
        return text;
      }),
    );
    assert.deepEqual(
      responses,
      responses.map((_, i) => `caller ${i}`),
    );
  });

  it("are not disturbed by those that are given up, before or after they were opened", async () => {
    await using system = await startSystem();
    for (let round = 0; round < 20; round += 1) {
      const given = new AbortController();
      const dial = system.controlPlane.dial(RUNNER, TARGET, { signal: given.signal });
      given.abort();
      await assert.rejects(dial, /aborted by the caller/);
      const opened = await system.controlPlane.dial(RUNNER, TARGET);
      opened.on("error", () => {});
      opened.write("left in the middle of it");
      opened.destroy(new Error("test"));
      await assertEchoes(system.controlPlane.dial);
    }
  });

  it("over HTTP: a request that is given up leaves nothing for the next one on the same connection", async () => {
    await using target = await startHttpTarget((request, response) => {
      const slow = request.url?.startsWith("/slow") === true;
      response.write(`response to ${request.url}`);
      if (!slow) response.end();
    });
    await using system = await startSystem({ target });
    for (let round = 0; round < 10; round += 1) {
      const slow = await open(targetUrl(system.url, RUNNER, TARGET, `/slow-${round}`));
      await next(slow, "readable");
      slow.destroy();
      const { body } = await call(targetUrl(system.url, RUNNER, TARGET, `/quick-${round}`));
      assert.equal(body, `response to /quick-${round}`);
    }
  });
});
