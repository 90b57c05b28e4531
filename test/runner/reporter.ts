/** The reporter of a test process: node's `spec` as text, and each test's result to the runner. Its files are suites. */
import { writeSync } from "node:fs";
import { Readable } from "node:stream";
import { spec } from "node:test/reporters";
import { inspect } from "node:util";
import type { TestEvent } from "node:test/reporters";
import { CHANNEL } from "./messages.ts";
import type { Message } from "./messages.ts";

/** One line to the runner fits into a pipe (64 KiB), so that writing never fails with EAGAIN. */
const MAX_ERROR_CHARACTERS = 8_000;
/** A file of which no test is to run is not reported. */
const MAX_WAIT_MS = 2_000;
const ends = new Map<string, PromiseWithResolvers<void>>();

/** Resolves when the runner has been told of every test of `file`. */
export async function reported(file: string): Promise<void> {
  const timer = setTimeout(() => end(file).resolve(), MAX_WAIT_MS);
  await end(file).promise;
  clearTimeout(timer);
}

function end(file: string): PromiseWithResolvers<void> {
  const known = ends.get(file) ?? Promise.withResolvers<void>();
  ends.set(file, known);
  return known;
}

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  yield* Readable.from(followed(source)).pipe(new spec()) as AsyncIterable<string>;
}

async function* followed(source: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  const names: string[] = [];
  for await (const event of source) {
    // The runner counts over all files.
    if (event.type === "test:diagnostic" && event.data.nesting === 0) continue;
    if (event.type === "test:start") {
      names[event.data.nesting] = event.data.name;
    } else if (event.type === "test:pass" || event.type === "test:fail") {
      const { nesting, details, name } = event.data;
      const path = [...names.slice(0, nesting), name].slice(nesting > 0 ? 1 : 0).join(" > ");
      const isSuite = details.type === "suite";
      if (event.type === "test:fail" ? !isByItsTests(details) : !isSuite) report(result(event, path));
      if (nesting === 0) end(name).resolve();
    }
    yield event;
  }
}

/** A suite that fails because one of its tests has, which is counted itself. */
function isByItsTests(details: object): boolean {
  const { error } = details as { error?: { failureType?: string } };
  return error?.failureType === "subtestsFailed";
}

function result(
  { type, data }: Extract<TestEvent, { type: "test:pass" | "test:fail" }>,
  name: string,
): Message {
  const { skip, todo, details } = data;
  if (todo !== undefined && todo !== false) return { type: "todo", name, reason: String(todo) };
  if (skip !== undefined && skip !== false) return { type: "skipped", name, reason: String(skip) };
  if (type === "test:pass") return { type: "passed", name };
  const error = (details as { error?: Error }).error;
  return { type: "failed", name, error: inspect(error?.cause ?? error).slice(0, MAX_ERROR_CHARACTERS) };
}

/** To the runner. */
export function report(message: Message): void {
  try {
    writeSync(CHANNEL, `${JSON.stringify(message)}\n`);
  } catch {
    process.kill(process.pid, "SIGKILL"); // the runner has gone
  }
}
