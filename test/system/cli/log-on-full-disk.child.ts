/** Logs 60 MB, in turns of the event loop. */
import { setImmediate as turn } from "node:timers/promises";
import { createLogger } from "../../../src/cli/logger.ts";

const LINES = 60_000;
const LINES_PER_TURN = 5_000;

const log = createLogger({ format: "json" });
for (let n = 0; n < LINES; n += 1) {
  log.info({ n, padding: "x".repeat(1_000) }, "a line");
  if (n % LINES_PER_TURN === 0) await turn();
}
console.log("went on");
