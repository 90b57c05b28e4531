/** RevDial clients behind a relay, to which the control plane is out of reach. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { afterEach, describe, it } from "node:test";
import { openCaller, via } from "../../support/callers.ts";
import { EventLog } from "../../support/event-log.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRelayTo } from "../../support/relays.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import { startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const PATH: string = via("/", "default");
/** More than a relay dials at once, and than it takes of one agent. */
const STREAMS = 200;

describe("a RevDial client behind a relay", () => {
  for (const prefix of ["/api/v1", ""] as const) {
    for (const basePath of ["", "/base"]) {
      it(`with pick-ups ${basePath}${prefix}/revdial loses nothing of a large body`, async () => {
        await using target = await startHttpTarget((request, response) => void request.pipe(response));
        await using system = await startSystem({ agents: 0, controlPlane: { basePath } });
        await using relay = await startRelayTo(`${system.url}${basePath}`);
        await using _client = await RevDialClient.connect({ url: relay.http, target, prefix });
        await using caller = await openCaller("HTTP/1.1", system);
        const body = randomBytes(50_000);
        const { status, data } = await caller.call({ method: "POST", path: basePath + PATH, body });
        assert.deepEqual([status, data.equals(body)], [200, true]);
      });
    }
  }

  it("has as many streams at once as its callers open", async () => {
    const responses: ServerResponse[] = [];
    await using target = await startHttpTarget((_request, response) => {
      responses.push(response);
      if (responses.length === STREAMS) for (const each of responses) each.end("all are here");
    });
    await using system = await startSystem({ agents: 0 });
    await using relay = await startRelayTo(system.url);
    await using _client = await RevDialClient.connect({ url: relay.http, target });
    await using caller = await openCaller("HTTP/2 by prior knowledge", system);
    const texts = await Promise.all(
      Array.from({ length: STREAMS }, async () => (await caller.call({ path: PATH })).text),
    );
    assert.deepEqual(new Set(texts), new Set(["all are here"]));
  });

  it("finishes a slow response while its relay drains", async () => {
    const responses = new EventLog<ServerResponse>();
    await using target = await startHttpTarget((_request, response) => responses.push(response));
    await using system = await startSystem({ agents: 0 });
    await using relay = await startRelayTo(system.url, { drainMs: 60_000 });
    await using client = await RevDialClient.connect({ url: relay.http, target });
    await using caller = await openCaller("HTTP/1.1", system);
    const response = caller.call({ path: PATH });
    const slow = await responses.find(() => true, "the request");
    const closed = relay.agent.close();
    await client.closed; // quiet connections close, and its control connection is one
    slow.end("late");
    assert.equal((await response).text, "late");
    await closed;
  });
});
