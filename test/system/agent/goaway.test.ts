/** GOAWAY(NO_ERROR) means that a connection drains, whatever its debug data. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { followAgent } from "../../support/agents.ts";
import { openAgentEndpoint } from "../../support/agent-endpoint.ts";
import { encodeFrame, FRAME, FrameClient, uint32 } from "../../support/http2-frames.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";

afterEach(() => assertNothingOpen());

const DEBUG_DATA: readonly (readonly [what: string, data: string])[] = [
  ["without debug data", ""],
  ["with debug data that is no JSON", "garbage"],
  ["with null", "null"],
  ["with a reason that it does not know", '{"reason":"zzz"}'],
  ["with more debug data than it reads", JSON.stringify({ reason: "draining", message: "m".repeat(5_000) })],
];

describe("an agent that gets GOAWAY(NO_ERROR)", () => {
  for (const [what, data] of DEBUG_DATA) {
    it(`${what} makes the agent dial again while the old connection drains`, async () => {
      await using endpoint = await openAgentEndpoint();
      const agent = followAgent({ server: endpoint.url, carrier: "ptth", connections: 1, drainMs: 200 });
      const old = await FrameClient.open(await endpoint.carrier());
      old.write(encodeFrame(FRAME.GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(0), Buffer.from(data)])));
      const next = await FrameClient.open(await endpoint.carrier());
      assert.match((await agent.lost()).reason, /^draining: /);
      old.socket.destroy();
      next.socket.destroy();
      await agent[Symbol.asyncDispose]();
    });
  }
});
