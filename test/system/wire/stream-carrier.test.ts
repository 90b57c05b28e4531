/** The carrier inside one HTTP/2 stream: never half-open, nothing lost before its end, and a reset is never an end. */
import assert from "node:assert/strict";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { followAgent } from "../../support/agents.ts";
import { openCarrier } from "../../support/carriers.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { join, listen } from "../../support/reverse-proxies.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

describe("a carrier inside an HTTP/2 stream", () => {
  for (const [from, to] of [
    ["agent", "control"],
    ["control", "agent"],
  ] as const) {
    it(`closes at both ends when the ${from} ends it, behind all bytes`, async () => {
      const pair = await openCarrier("h2");
      const received: Buffer[] = [];
      pair[to].on("data", (chunk: Buffer) => received.push(chunk));
      const closed = Promise.all([next(pair[to], "close"), next(pair[from], "close")]);
      pair[from].end(Buffer.alloc(300_000, 7));
      await closed;
      assert.equal(Buffer.concat(received).length, 300_000);
      assert.equal(pair[to].errored, null);
      await pair.close();
    });

    it(`fails at the other end when the ${from} destroys it`, async () => {
      const pair = await openCarrier("h2");
      const end = ending(pair[to]);
      pair[from].destroy();
      assert.equal((await end).kind, "error");
      await pair.close();
    });
  }

  it("takes its outer connection with it, also when only the tunnel is ended", async () => {
    await using system = await startSystem({ agents: 0 });
    const { port } = system.controlPlane;
    const passed = new Set<net.Socket>();
    await using path = await listen(
      net.createServer((socket) => {
        passed.add(socket);
        socket.once("close", () => passed.delete(socket));
        join(socket, net.connect(port, "127.0.0.1"));
      }),
    );
    await using agent = followAgent({ server: `http://127.0.0.1:${path.port}`, carrier: "h2" });
    await agent.connected();
    const [first] = passed;
    const connection = () => system.controlPlane.runners()[0]?.connections[0];
    await eventually(() => connection() !== undefined, "the registration");
    connection()?.destroy("test");
    await agent.events.findNth(2, ({ type }) => type === "connected", "the reconnect");
    await eventually(() => first?.destroyed === true, "the end of the first outer connection");
    await agent.agent.close();
    await eventually(() => passed.size === 0, "the end of the second");
  });
});
