/** How many captures many viewers cost, on a clock of the test's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { SharedFrames } from "../../agents/sandbox/server/screenshot/shared-frames.ts";
import type { Frame } from "../../agents/sandbox/server/screenshot/shared-frames.ts";

const CAPTURE_MS = 40;

interface Desktop {
  frames: SharedFrames;
  /** When each capture began. */
  starts: number[];
  /** Moves the clock, and lets everything happen that follows. */
  pass: (ms: number) => Promise<void>;
  now: () => number;
}

/** A capture takes 40 ms; its digest is the time when it began. */
function desktop(t: TestContext): Desktop {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
  const starts: number[] = [];
  const now = (): number => Date.now();
  const capture = (): Promise<Frame> =>
    new Promise((resolve) => {
      const startedAt = now();
      starts.push(startedAt);
      const frame: Frame = {
        kind: "ppm",
        bytes: Buffer.alloc(0),
        digest: String(startedAt),
        encoded: new Map(),
      };
      setTimeout(() => resolve(frame), CAPTURE_MS);
    });
  const pass = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i += 1) {
      t.mock.timers.tick(1);
      for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
    }
  };
  return { frames: new SharedFrames({ capture, now }), starts, pass, now };
}

test("fifty viewers at 2 Hz cost two captures a second, and see frames of the last 500 ms", async (t) => {
  const { frames, starts, pass, now } = desktop(t);
  const ages: number[] = [];
  const waits: number[] = [];
  const responses: Promise<void>[] = [];
  for (let i = 0; i < 1_000; i += 1) {
    const askedAt = now();
    responses.push(
      frames.frame().then((frame) => {
        ages.push(now() - Number(frame.digest));
        waits.push(now() - askedAt);
      }),
    );
    await pass(10);
  }
  await pass(1_000);
  await Promise.all(responses);
  assert.equal(ages.length, 1_000);
  assert.ok(starts.length >= 18 && starts.length <= 20, `${starts.length} captures in 10 s`);
  assert.ok(Math.max(...ages) <= 500, `a frame of ${Math.max(...ages)} ms`);
  assert.ok(Math.max(...waits) <= CAPTURE_MS + 1, `a wait of ${Math.max(...waits)} ms`);
  frames.close();
});

test("a lone viewer gets a frame of its own each time", async (t) => {
  const { frames, starts, pass, now } = desktop(t);
  for (let i = 0; i < 10; i += 1) {
    const askedAt = now();
    const frame = frames.frame();
    await pass(CAPTURE_MS + 1);
    assert.equal(Number((await frame).digest), askedAt);
    await pass(260 - CAPTURE_MS);
  }
  assert.equal(starts.length, 10);
  frames.close();
});

test("a request during a capture gets that one", async (t) => {
  const { frames, starts, pass } = desktop(t);
  const together = [frames.frame()];
  for (let i = 0; i < 49; i += 1) together.push(frames.frame());
  await pass(CAPTURE_MS + 1);
  const digests = new Set((await Promise.all(together)).map(({ digest }) => digest));
  assert.equal(digests.size, 1);
  assert.equal(starts.length, 1);
  frames.close();
});

test("no request gets a frame older than a change that came before it", async (t) => {
  const { frames, starts, pass, now } = desktop(t);
  // A crowd, with a frame to share.
  for (let i = 0; i < 10; i += 1) void frames.frame();
  await pass(100);
  frames.changed();
  const changedAt = now();
  const after = frames.frame();
  await pass(1_000);
  assert.ok(Number((await after).digest) >= changedAt);
  // Nor one of a capture that had begun.
  void frames.frame();
  await pass(10);
  frames.changed();
  const again = now();
  const frame = frames.frame();
  await pass(1_000);
  assert.ok(Number((await frame).digest) >= again);
  assert.equal(starts.length, 4);
  frames.close();
});

test("continuous input causes no more captures", async (t) => {
  const { frames, starts, pass } = desktop(t);
  const responses: Promise<unknown>[] = [];
  for (let i = 0; i < 500; i += 1) {
    frames.changed();
    responses.push(frames.frame());
    await pass(10);
  }
  await pass(1_000);
  await Promise.all(responses);
  // Two at once, before it is a crowd.
  assert.ok(starts.length <= 12, `${starts.length} captures in 5 s`);
  frames.close();
});

test("a failed capture fails only the requests that waited for it", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let fail = true;
  const frame: Frame = { kind: "png", bytes: Buffer.alloc(0), digest: "x", encoded: new Map() };
  const frames = new SharedFrames({
    capture: () => (fail ? Promise.reject(new Error("no display")) : Promise.resolve(frame)),
  });
  const [first, second] = [frames.frame(), frames.frame()];
  await assert.rejects(first, /no display/);
  await assert.rejects(second, /no display/);
  fail = false;
  assert.equal(await frames.frame(), frame);
  frames.close();
});
