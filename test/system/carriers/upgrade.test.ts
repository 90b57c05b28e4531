import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { assertEchoes } from "../../support/agents.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

describe("upgrade carriers, forced", () => {
  for (const carrier of ["ptth", "websocket", "h2"] as const) {
    for (const tls of [false, true]) {
      it(`carries a tunnel connection by ${carrier} over ${tls ? "https" : "http"}`, async () => {
        await using system = await startSystem({ tls, agent: { carrier } });
        await assertEchoes(system.controlPlane.dial);
        const [view] = system.controlPlane.runners();
        assert.equal(view?.connections[0]?.tunnel.kind, carrier);
      });
    }

    it(`carries a tunnel connection by ${carrier} below a base path`, async () => {
      await using system = await startSystem({ agents: 0, controlPlane: { basePath: "/tunnels/eu" } });
      for (const [id, server] of [
        ["plain", `${system.url}/tunnels/eu`],
        ["slash", `${system.url}/tunnels/eu/`],
        ["endpoint", `${system.url}/tunnels/eu/api/v1/revdial`],
      ] as const) {
        await system.addAgent({ [id]: { echo: system.target.address } }, { server, carrier });
        await assertEchoes(system.controlPlane.dial, id);
      }
    });
  }

  it("moves bytes both ways at once on all carriers", async () => {
    for (const carrier of ["ptth", "websocket", "rh2", "h2"] as const) {
      await using system = await startSystem({ tls: true, agent: { carrier, connections: 2 } });
      const sockets = await Promise.all(
        Array.from({ length: 8 }, () => system.controlPlane.dial(RUNNER, "echo")),
      );
      const payloads = sockets.map((_, i) => Buffer.alloc(300_000, `stream ${i} `));
      const echoed = await Promise.all(
        sockets.map(async (socket, i) => {
          socket.end(payloads[i]);
          const chunks: Buffer[] = [];
          for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
          return Buffer.concat(chunks);
        }),
      );
      assert.deepEqual(echoed, payloads);
    }
  });
});
