/** An agent that allows almost no streams: a dial that finds none free fails at once. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

describe("an agent that allows one stream, which /events uses", () => {
  it("has none for dials", async () => {
    await using system = await startSystem();
    const [connection] = system.controlPlane.runners()[0]?.connections ?? [];
    assert.ok(connection !== undefined);
    Object.defineProperty(connection.http2Session, "remoteSettings", { value: { maxConcurrentStreams: 1 } });
    const dial = system.controlPlane.dial(RUNNER, TARGET);
    await assert.rejects(within(dial, "the refusal", 2_000), { code: "overloaded" });
  });
});
