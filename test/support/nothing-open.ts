/** The end of a test: no socket, listener, timer or child process may be left. */
import { setImmediate, setTimeout as delay } from "node:timers/promises";

/** It only bounds a hang. */
const TIMEOUT_MS = 15_000;
const EAGER_TURNS = 20;
const POLL_MS = 2;
/** What the test runner itself holds (its pipes) when the first test imports this file. */
const BASELINE = open();

/**
 * Waits until the process holds nothing that it did not hold at its start. Call it when everything has been closed.
 *
 * @throws Error that lists what is still open
 */
export async function assertNothingOpen(timeoutMs: number = TIMEOUT_MS): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (let turns = 0; ; turns += 1) {
    const left = surplus();
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`still open: ${left.join(", ")}`);
    await (turns < EAGER_TURNS ? setImmediate() : delay(POLL_MS));
  }
}

function surplus(): string[] {
  const now = open();
  for (const kind of BASELINE) {
    const index = now.indexOf(kind);
    if (index >= 0) now.splice(index, 1);
  }
  return now;
}

/** Whatever keeps the event loop alive, besides our own waiting and work that ends by itself. */
function open(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kind !== "Immediate" && !kind.endsWith("ReqWrap") && !kind.endsWith("Req"));
}
