/** Wolf's API as Helix's Go code calls it: by `http.Transport{Proxy}`, and by a dial of its own. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { startDoubles, WOLF_RUNNER } from "../support/doubles.ts";
import { within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { missing } from "../support/parts.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { GoProgram } from "./go-program.ts";

afterEach(() => assertNothingOpen());

const PART = "turnabout-go-wolf-client";

/** As the program reports it. */
interface WolfReport {
  apps: string[];
  lobby: string;
  listed: boolean;
  event: string;
  keyboards: { session_id: string; wolf_state: { pressed_keys: number[] } }[];
  released: string[];
  stopped: boolean;
}

describe("Wolf's API from Go, on the forward proxy", { skip: missing(PART) }, () => {
  for (const through of ["proxy", "dial"]) {
    it(`serves apps, events, lobbies and keyboards through a ${through}`, async () => {
      await using doubles = await startDoubles();
      const { state } = doubles.wolf;
      const pressed = [...state.pressedKeys];
      const port = doubles.system.controlPlane.port;
      const proxy = `http://x:${ADMIN_TOKEN}@127.0.0.1:${port}`;
      const target = `wolf.${WOLF_RUNNER}`;
      await using program = new GoProgram(PART, ["-proxy", proxy, "-target", target, "-through", through]);
      const code = await within(program.exited, "the end of the client");
      assert.equal(code, 0, program.lines.all.join(" / "));
      const report = JSON.parse(program.output.all.join("")) as WolfReport;
      assert.deepEqual(
        report.apps,
        state.apps.map(({ title }) => title),
      );
      assert.deepEqual(
        { listed: report.listed, stopped: report.stopped, event: report.event },
        { listed: true, stopped: true, event: "wolf::core::events::CreateLobbyEvent" },
      );
      assert.notEqual(report.lobby, "");
      assert.deepEqual(
        report.keyboards.map((keyboard) => [keyboard.session_id, keyboard.wolf_state.pressed_keys]),
        pressed,
      );
      assert.deepEqual(report.released, ["KEY_LEFTSHIFT"]);
    });
  }
});
