/** What a relay's owner gave it throws: everything goes on. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Logger } from "../../../src/wire/log.ts";
import { listRunners } from "../../support/http.ts";
import { followAgent } from "../../support/agents.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { rawExchange, startRelayTo } from "../../support/relays.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

/** Throws when a connection is logged. */
function brokenLog(): Logger {
  const say = (_fields: object, message: string): void => {
    if (message.startsWith("relay: ") && !message.includes("listens")) throw new Error("the disk is full");
  };
  return { debug: say, info: say, warn: say, error: say };
}

describe("a relay whose log throws", () => {
  it("forwards agents, and refuses others, as one whose log works", async () => {
    await using system = await startSystem({ agents: 0 });
    await using relay = await startRelayTo(system.url, { log: brokenLog() });
    const runners = { [RUNNER]: { [TARGET]: system.target.address } };
    await using inner = followAgent({ server: relay.http, runners, attemptTimeoutMs: 2_000 });
    await inner.connected();
    assert.match(await rawExchange(relay.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), /^HTTP\/1\.1 404/);
    assert.deepEqual(
      (await listRunners(system.url)).map(({ id, state }) => [id, state]),
      [[RUNNER, "connected"]],
    );
  });
});
