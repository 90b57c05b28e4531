/** node's own HTTP over createHttpAgent(). */
import assert from "node:assert/strict";
import http from "node:http";
import type { IncomingMessage, RequestOptions } from "node:http";
import { afterEach, describe, it } from "node:test";
import { createHttpAgent, TurnaboutError } from "../../../src/index.ts";
import { ending, next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

interface Connections extends TestTarget {
  count: () => number;
}

/** Echoes bodies and counts its connections. */
async function startCounting(): Promise<Connections> {
  let connections = 0;
  const target = await startHttpTarget((request, response) => {
    response.setHeader("x-url", request.url ?? "");
    request.pipe(response);
  });
  target.http.on("connection", () => (connections += 1));
  return Object.assign(target, { count: () => connections });
}

async function exchange(options: RequestOptions, body: string | Buffer = ""): Promise<{ text: string }> {
  const request = http.request({ host: "anything.at-all", ...options });
  request.end(body);
  const [response] = await next<[IncomingMessage]>(request, "response");
  const { kind, data } = await ending(response);
  assert.equal(kind, "end");
  return { text: data.toString() };
}

describe("an http.Agent over dialled streams", () => {
  it("opens a stream for each request unless it keeps them alive", async () => {
    for (const [keepAlive, expected] of [
      [false, 5],
      [true, 1],
    ] as const) {
      const target = await startCounting();
      await using system = await startSystem({ target });
      const agent = createHttpAgent(system.controlPlane.dial, RUNNER, TARGET, { keepAlive });
      for (let n = 1; n <= 5; n += 1) {
        const { text } = await exchange({ agent, method: "POST", path: `/${n}` }, `body ${n}`);
        assert.equal(text, `body ${n}`);
      }
      assert.equal(target.count(), expected);
      agent.destroy();
    }
  });

  it("carries bodies in pieces, strings and empty ones among them, unchanged", async () => {
    await using system = await startSystem({ target: await startCounting() });
    const agent = createHttpAgent(system.controlPlane.dial, RUNNER, TARGET, { keepAlive: true });
    for (let n = 1; n <= 30; n += 1) {
      const request = http.request({ agent, method: "POST", host: "x" });
      const responded = next<[IncomingMessage]>(request, "response");
      request.write(`string ${n} `);
      request.write("");
      request.write(Buffer.from("buffer "));
      request.end();
      const [response] = await responded;
      assert.equal((await ending(response)).data.toString(), `string ${n} buffer `);
    }
    agent.destroy();
  });

  it("carries a body larger than every window, both ways", async () => {
    await using system = await startSystem({ target: await startCounting() });
    const agent = createHttpAgent(system.controlPlane.dial, RUNNER, TARGET);
    const sent = Buffer.alloc(12 * 1024 * 1024, "0123456789");
    const { text } = await exchange({ agent, method: "POST" }, sent);
    assert.ok(text === sent.toString());
  });

  it("gives a refused dial as the request's error, with its code", async () => {
    await using system = await startSystem();
    for (const [runner, target, code] of [
      ["never-seen", TARGET, "runner_unknown"],
      [RUNNER, "other", "target_unknown"],
    ] as const) {
      const agent = createHttpAgent(system.controlPlane.dial, runner, target);
      const request = http.request({ agent, host: "x" });
      request.end();
      const [error] = await next<[unknown]>(request, "error");
      assert.ok(error instanceof TurnaboutError);
      assert.equal(error.code, code);
    }
  });
});
