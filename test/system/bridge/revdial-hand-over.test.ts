/** A control plane that hands over to a successor, with RevDial clients, which cannot connect to both. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, it } from "node:test";
import { via } from "../../support/callers.ts";
import { EventLog } from "../../support/event-log.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import { startCallers } from "../../support/steady-callers.ts";
import { startSuccessor } from "../../support/successor.ts";
import { startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

/** As its program: again and again, with a fixed pause. */
const RECONNECT_MS = 200;

describe("a RevDial client at a control plane that hands over", () => {
  it("is reached through the old process and then through the new one, without a failed request", async () => {
    await using target = await startHttpTarget((_request, response) => response.end("here"));
    await using system = await startSystem({ agents: 0, controlPlane: { drainMs: 60_000 } });
    const { controlPlane, url } = system;
    let isOver = false;
    const ends = new EventLog<number>();
    let client = await RevDialClient.connect({ url, target });
    const running = (async () => {
      for (;;) {
        ends.push((await client.closed).code);
        if (isOver) return;
        await delay(RECONNECT_MS);
        client = await RevDialClient.connect({ url, target });
      }
    })();
    const callers = startCallers(`${url}${via("/", "default")}`, 4);
    const { results } = callers;
    await results.findNth(20, () => true, "requests before");
    await using _successor = await startSuccessor(controlPlane.listenFd());
    const closed = controlPlane.close({ successor: true });
    assert.equal(await ends.find(() => true, "the end of the old connection"), 1012);
    await closed;
    const before = results.length;
    await results.find(() => true, "requests at the new process", { from: before + 20 });
    isOver = true;
    await callers.stop();
    client.kill();
    await running;
    assert.deepEqual(new Set(results.all), new Set(["200 here"]));
  });
});
