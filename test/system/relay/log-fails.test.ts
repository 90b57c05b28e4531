/** What a relay's owner gave it throws: the one connection fails, and the process goes on. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { Logger } from "../../../src/wire/log.ts";
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
  it("loses the connection, and nothing else", async () => {
    await using system = await startSystem({ agents: 0 });
    await using relay = await startRelayTo(system.url, { log: brokenLog() });
    const runners = { [RUNNER]: { [TARGET]: system.target.address } };
    await using inner = followAgent({ server: relay.http, runners, attemptTimeoutMs: 2_000 });
    await inner.failed();
    assert.match(await rawExchange(relay.port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), /^(HTTP\/1\.1 404|$)/);
    await inner.failed(inner.events.all.length);
  });
});
