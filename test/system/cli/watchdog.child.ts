/** A process with a watchdog; the first argument says how its main thread stalls. It exits by itself after a minute. */
import { openSync, readdirSync, readFileSync } from "node:fs";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { createLogger } from "../../../src/cli/logger.ts";
import { startWatchdog } from "../../../src/cli/watchdog/watchdog.ts";

const [how = "", limit = "1000", format = "json"] = process.argv.slice(2);
const DEADLINE_MS = 60_000;
/** A thread that waits for a core does not sleep. */
const SLEEPING_POLLS = 12;
const BYTES_PER_PIECE = 4 * 1024 * 1024;
const MAX_BYTES = 1_500 * 1024 * 1024;

const deadline = Date.now() + DEADLINE_MS;
const isOver = (): boolean => Date.now() > deadline;

/** Stalls of the event loop. */
const STALLS: Readonly<Record<string, () => void>> = {
  spin() {
    while (!isOver());
  },
  regex() {
    /^(a+)+$/.test(`${"a".repeat(200)}!`);
  },
  grow() {
    const pieces: Buffer[] = [];
    while (!isOver()) {
      if (pieces.length * BYTES_PER_PIECE < MAX_BYTES) pieces.push(Buffer.alloc(BYTES_PER_PIECE, 1));
    }
  },
  /** Sleeps for many limits, because a busy machine is slow to detect it, then continues. */
  sleep() {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(limit) * 8);
    process.stdout.write("awake\n");
  },
  /** After some checks without a free descriptor, of a watchdog that has been loaded. */
  descriptors() {
    let sleeping = 0;
    const poll = setInterval(() => {
      sleeping = watchdogSleeps() ? sleeping + 1 : 0;
      if (sleeping < SLEEPING_POLLS) return;
      clearInterval(poll);
      takeDescriptors();
      setTimeout(() => STALLS["spin"]?.(), 1_000);
    }, 50);
  },
  /** Only its event loop. */
  idle() {},
};

startWatchdog({
  limitMs: Number(limit),
  format: format === "pretty" ? "pretty" : "json",
  log: createLogger({ format: "json" }),
});
setTimeout(() => process.exit(0), DEADLINE_MS);
process.on("SIGTERM", () => process.exit(0));
process.stdout.write("ready\n");
// Once the watchdog has seen a heartbeat.
setTimeout(() => (how === "native" ? loopInHttp2() : STALLS[how]?.()), 1_000);

function takeDescriptors(): void {
  for (;;) {
    try {
      openSync("/dev/null", "r");
    } catch {
      return;
    }
  }
}

/** By its thread's name and state in /proc. */
function watchdogSleeps(): boolean {
  return readdirSync("/proc/self/task").some((id) =>
    readFileSync(`/proc/self/task/${id}/stat`, "utf8").includes("(watchdog) S "),
  );
}

/**
 * The loop inside nghttp2 that an unguarded stream can enter: it is destroyed while it is closed and before its RST_STREAM
 * has been sent (docs/traps.md). Memory is limited by the watchdog alone.
 */
function loopInHttp2(): void {
  const server = http2.createServer((_request, response) => {
    response.writeHead(200);
    response.write("x");
  });
  server.listen(0, "127.0.0.1", () => {
    const session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = session.request({ ":method": "POST", ":path": "/" }, { endStream: false });
    stream.on("error", () => {});
    stream.on("response", () => {
      setTimeout(() => {
        stream.end("x");
        stream.close(http2.constants.NGHTTP2_NO_ERROR);
        stream.destroy();
      });
    });
  });
}
