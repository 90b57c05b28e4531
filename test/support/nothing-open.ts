/** The end of a test: no socket, listener, timer or child process may be left. */
import { setImmediate } from "node:timers/promises";

const PATIENCE_MS = 5_000;
/** What the test runner itself holds (its pipes) when the first test imports this file. */
const BASELINE = open();

/**
 * Waits until the process holds nothing that it did not hold at its start. Call it when everything has been closed.
 *
 * @throws Error that lists what is still open
 */
export async function assertNothingOpen(patienceMs: number = PATIENCE_MS): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const left = surplus();
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`still open: ${left.join(", ")}`);
    await setImmediate();
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
