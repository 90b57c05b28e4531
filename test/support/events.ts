/** Waiting for what happens, each time with a bound: no test sleeps, and none hangs. */
import type { EventEmitter } from "node:events";
import { once } from "node:events";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { errorCodeOf } from "../../src/wire/errors.ts";

/** It only bounds a hang, so it is long: on a machine whose cores others use, everything takes ten times as long. */
const TIMEOUT_MS = 30_000;
/** What is ready is seen at once; after that a test that waits leaves the cores to what it waits for. */
const EAGER_TURNS = 20;
const POLL_MS = 2;
const REQUEST_POLL_MS = 15;

/** The arguments of the next `event`. An 'error' event rejects, unless it is the one waited for. */
export async function next<T extends unknown[]>(
  emitter: EventEmitter,
  event: string,
  timeoutMs: number = TIMEOUT_MS,
): Promise<T> {
  return within(once(emitter, event) as Promise<T>, `event '${event}'`, timeoutMs);
}

/** The promise's value, or a rejection that says what did not happen. */
export async function within<T>(
  promise: Promise<T>,
  what: string,
  timeoutMs: number = TIMEOUT_MS,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what}: not within ${timeoutMs} ms`)), timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again and again until `check` is true: only for what has no event of its own. */
export async function eventually(
  check: () => boolean,
  what: string,
  timeoutMs: number = TIMEOUT_MS,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (let turns = 0; !check(); turns += 1) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await (turns < EAGER_TURNS ? turn() : delay(POLL_MS));
  }
}

/** Between two requests about what has no event of its own: a request takes both ends more than a look does. */
export async function pause(): Promise<void> {
  await delay(REQUEST_POLL_MS);
}

/** `count` turns of the event loop: everything that was ready has been handled. */
export async function turn(count = 1): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise<void>((resolve) => void setImmediate(resolve));
}

/** How a readable side came to its end. */
export interface Ending {
  /** `end`: cleanly. `error`: with an error. `closed`: destroyed without either. */
  kind: "end" | "error" | "closed";
  /** `code` of the error, else its message. */
  code: string | undefined;
  error: Error | undefined;
  data: Buffer;
}

/** Reads a stream to whatever end it comes to. Listens at once, so call it before the fault. */
export async function ending(stream: Readable | Duplex, timeoutMs: number = TIMEOUT_MS): Promise<Ending> {
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const chunks: Buffer[] = [];
  let ended = false;
  let failed: Error | undefined;
  const settle = (kind: Ending["kind"]) => {
    const code = failed === undefined ? undefined : (errorCodeOf(failed) ?? failed.message);
    resolve({ kind, code, error: failed, data: Buffer.concat(chunks) });
  };
  stream.on("data", (chunk: Buffer | string) => chunks.push(Buffer.from(chunk)));
  stream.on("end", () => {
    ended = true;
    settle("end"); // also if an error follows: a consumer such as pipeline() would have taken it for complete
  });
  stream.on("error", (error: Error) => {
    failed = error;
    settle("error");
  });
  stream.on("close", () => {
    if (!ended && failed === undefined) settle("closed");
  });
  if (stream.closed) {
    // Its events are over, as on a machine that was busy with others.
    failed = stream.errored ?? undefined;
    settle(failed === undefined ? (stream.readableEnded ? "end" : "closed") : "error");
  }
  stream.resume(); // also if the test had paused it
  return within(promise, "the end of a stream", timeoutMs);
}
