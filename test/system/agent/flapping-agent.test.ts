import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { TurnaboutError } from "../../../src/wire/errors.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

describe("an agent that comes and goes without end", () => {
  it("cannot hold a dial longer than one grace", async () => {
    const graceMs = 1_000;
    let flapping = false;
    let connects = 0;
    // Each connection ends before a waiting dial can use it.
    const drain = (): void => {
      for (const { connections } of system.controlPlane.runners()) {
        for (const connection of connections) connection.drain("draining", "test", 0);
      }
    };
    await using system = await startSystem({
      controlPlane: {
        graceMs,
        onEvent: ({ type }) => {
          if (!flapping || type !== "connected") return;
          connects += 1;
          drain();
        },
      },
      agent: { backoffBaseMs: 5, backoffCapMs: 50 },
    });
    flapping = true;
    drain();
    const startedAt = performance.now();
    await assert.rejects(
      system.controlPlane.dial(RUNNER, TARGET, { signal: AbortSignal.timeout(10 * graceMs) }),
      (error) => error instanceof TurnaboutError && error.code === "runner_offline",
    );
    const lastedMs = performance.now() - startedAt;
    assert.ok(connects >= 3, `it came back ${connects} times meanwhile`);
    assert.ok(lastedMs >= graceMs * 0.9 && lastedMs < graceMs * 2, `${lastedMs} ms`);
  });
});
