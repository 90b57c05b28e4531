import assert from "node:assert/strict";
import { afterEach, describe, it, mock } from "node:test";
import {
  ANNOUNCED_RESTART_MS,
  ANNOUNCED_RETRY_MAX_MS,
  ANNOUNCED_RETRY_MIN_MS,
  MAX_ANNOUNCEMENTS,
} from "../limits.ts";
import { ReconnectDelay } from "./reconnect-delay.ts";

afterEach(() => mock.reset());

const SLOW = { backoffBaseMs: 60_000, backoffCapMs: 60_000 };

/** The longest and the shortest delay. */
function bounds(delayMs: () => number): [number, number] {
  const random = mock.method(Math, "random", () => 0);
  const least = delayMs();
  random.mock.mockImplementation(() => 0.999_999);
  const most = delayMs();
  random.mock.restore();
  return [least, most];
}

describe("after an announced restart", () => {
  it("a slot dials within the announced spread, and repeats what fails soon, for a while", () => {
    mock.timers.enable({ apis: ["Date"] });
    const delay = new ReconnectDelay(SLOW);
    assert.deepEqual(
      bounds(() => delay.afterAnnouncement(100)),
      [0, 99],
    );
    const soon = [ANNOUNCED_RETRY_MIN_MS, ANNOUNCED_RETRY_MAX_MS - 1];
    for (let n = 0; n < 20; n += 1) {
      assert.deepEqual(
        bounds(() => delay.afterFailure(undefined)),
        soon,
      );
    }
    mock.timers.tick(ANNOUNCED_RESTART_MS + 1);
    assert.equal(bounds(() => delay.afterFailure(undefined))[1], 59_999);
    mock.timers.reset();
  });

  it("the slots of many agents spread what they repeat", () => {
    const delay = new ReconnectDelay(SLOW);
    delay.afterAnnouncement(8_000);
    assert.equal(bounds(() => delay.afterFailure(undefined))[1], 7_999);
  });

  it("again and again without a stable connection, a slot backs off", () => {
    const delay = new ReconnectDelay(SLOW);
    const most = (): number => bounds(() => delay.afterAnnouncement(0))[1];
    for (let n = 0; n < MAX_ANNOUNCEMENTS / 2; n += 1) assert.equal(most(), 0);
    assert.ok(most() > 500);
    delay.reset();
    assert.equal(most(), 0);
  });
});
