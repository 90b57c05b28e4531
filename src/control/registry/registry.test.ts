import assert from "node:assert/strict";
import { afterEach, beforeEach, it, mock } from "node:test";
import { MAX_GONE_RUNNERS } from "../limits.ts";
import { Registry } from "./registry.ts";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

it("a credential with ever new runners makes only its own forgotten", () => {
  const registry = new Registry();
  const pass = (id: string, credential: string): void => {
    registry.expectReturn(id, credential, 1);
    mock.timers.tick(1);
  };
  pass("first", "small");
  for (let n = 0; n < MAX_GONE_RUNNERS + 10; n += 1) pass(`new-${n}`, "large");
  assert.deepEqual(
    ["first", "new-0", "new-10", "new-11"].map((id) => registry.state(id)),
    ["gone", "never-seen", "never-seen", "gone"],
  );
  registry.close();
});
