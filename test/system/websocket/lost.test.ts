/** The death of any party of a WebSocket reaches the others at once, and as a loss. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createMoonlightDouble } from "../../../src/demo/moonlight/double.ts";
import { CALLERS, via } from "../../support/callers.ts";
import { within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { openFaultyPath } from "../../support/faulty-path.ts";
import { startSystem, RUNNER, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import type { FaultyPath } from "../../support/faulty-path.ts";
import type { MoonlightDouble } from "../../../src/demo/moonlight/double.ts";
import { NO_CLOSE_FRAME, openWebSocket } from "../../support/websockets.ts";
import type { SocketCaller } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

/** Far below every time limit that could hide an unreported loss. */
const PROMPT_MS = 2_000;

interface Scene {
  system: System;
  moonlight: MoonlightDouble;
  /** Between agent and target. */
  toTarget: FaultyPath;
  caller: SocketCaller;
}

async function play(kind: (typeof CALLERS)[number], act: (scene: Scene) => Promise<void>): Promise<void> {
  await using moonlight = await createMoonlightDouble({ credentials: "helix" });
  await using toTarget = await openFaultyPath(moonlight.port);
  await using system = await startSystem({ tls: true, faulty: true, agents: 0 });
  await system.addAgent({ [RUNNER]: { [TARGET]: `127.0.0.1:${toTarget.port}` } }, { backoffBaseMs: 60_000 });
  await using caller = await openWebSocket(kind, system, via("/api/ws/echo"));
  caller.socket.send("hello");
  assert.equal(await caller.text(), "hello");
  await act({ system, moonlight, toTarget, caller });
}

const DEATHS: Readonly<Record<string, (scene: Scene) => void>> = {
  "the target resets": ({ toTarget }) => toTarget.reset(),
  "the target closes without a close frame": ({ toTarget }) => toTarget.cut(),
  "the agent's connection is reset": ({ system }) => system.path?.reset(),
  "the agent's connection is closed": ({ system }) => system.path?.cut(),
  "the agent is kicked out": ({ system }) => {
    for (const { connections } of system.controlPlane.runners()) {
      for (const connection of connections) connection.destroy("a test");
    }
  },
};

/** Where the tunnel is lost between two frames, the control plane sends a close frame itself. */
const SERVICE_RESTART = 1012;
const CLOSE_CODE: Readonly<Record<string, number>> = {
  "the target closes without a close frame": NO_CLOSE_FRAME,
};

for (const kind of CALLERS) {
  describe(`a WebSocket over ${kind}`, () => {
    for (const [what, strike] of Object.entries(DEATHS)) {
      it(`is closed at both ends when ${what}`, () =>
        play(kind, async (scene) => {
          strike(scene);
          const { code } = await within(scene.caller.closed, "the caller's end", PROMPT_MS);
          assert.equal(code, CLOSE_CODE[what] ?? SERVICE_RESTART);
          await within(scene.moonlight.whenIdle(), "the target's end", PROMPT_MS);
        }));
    }

    it("is closed at the target when the caller vanishes", () =>
      play(kind, async ({ caller, moonlight }) => {
        caller.socket.terminate();
        await within(moonlight.whenIdle(), "the target's end", PROMPT_MS);
      }));

    it("is closed at the target when the caller vanishes in the middle of a message", () =>
      play(kind, async ({ caller, moonlight }) => {
        caller.socket.send("a fragment", { fin: false });
        caller.socket.send(Buffer.alloc(8 * 1024 * 1024), { fin: false });
        caller.socket.terminate();
        await within(moonlight.whenIdle(), "the target's end", PROMPT_MS);
      }));
  });
}
