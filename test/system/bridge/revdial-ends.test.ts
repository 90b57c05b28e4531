/** Ends of data connections without a Close frame: a client whose process dies closes them as one does whose target has ended. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { openCaller, via } from "../../support/callers.ts";
import { ending, next } from "../../support/events.ts";
import type { Ending } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import { startSystem } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

/** How a response ends that goes up to the close, after `close` has closed its data connection. */
async function endOf(close: (client: RevDialClient) => void): Promise<Ending["kind"]> {
  await using system = await startSystem({ agents: 0 });
  await using target = await startTarget((socket) => {
    socket.once("data", () => socket.write("HTTP/1.0 200 OK\r\n\r\npart"));
  });
  await using client = await RevDialClient.connect({ url: system.url, target });
  await using caller = await openCaller("HTTP/1.1", system);
  const open = caller.open({ path: via("/", "default"), bodyless: true });
  open.request.end();
  const response = await open.response;
  const end = ending(response.body);
  await next(response.body, "data");
  close(client);
  return (await end).kind;
}

describe("the end of a data connection without a Close frame", () => {
  it("is the target's, where its client lives", async () => {
    const kind = await endOf((client) => {
      for (const socket of client.data) socket.terminate();
    });
    assert.equal(kind, "end");
  });

  it("is none of the target, where its client dies, however much later that is seen", async () => {
    const kind = await endOf((client) => {
      // No pong is sent any more: the process is dead, and the FIN of its control connection is on its way.
      client.control.pong = () => {};
      client.control.once("ping", () => client.control.terminate());
      for (const socket of client.data) socket.terminate();
    });
    assert.equal(kind, "error");
  });
});
