import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { assertEchoes } from "../../support/agents.ts";
import { ending } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

describe("the loss of all connections at once", () => {
  for (const fault of ["reset", "cut"] as const) {
    it(`by ${fault} fails every stream with an error, and every agent reconnects`, async () => {
      const agents = 20;
      await using system = await startSystem({ faulty: true, agents });
      const ids = Array.from({ length: agents }, (_, i) => `runner-${i + 1}`);
      const sockets = await Promise.all(
        ids.flatMap((id) => Array.from({ length: 5 }, () => system.controlPlane.dial(id, TARGET))),
      );
      for (const socket of sockets) socket.write("busy");
      const endings = sockets.map((socket) => ending(socket));
      if (fault === "reset") system.path?.reset();
      else system.path?.cut();
      for (const { kind } of await Promise.all(endings)) assert.equal(kind, "error");
      assert.equal((await call(`${system.url}/healthz`)).status, 200);
      await Promise.all(ids.map((id) => assertEchoes(system.controlPlane.dial, id)));
    });
  }
});
