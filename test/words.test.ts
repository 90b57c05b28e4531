/** Words that once meant two things, or were a dialect of this project, do not come back. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { mentions } from "./support/source-tree.ts";
import type { Source } from "./support/source-tree.ts";

const ROOT = path.join(import.meta.dirname, "..");

/** The old word, and the one in use. */
const OLD_WORDS: readonly (readonly [RegExp, string])[] = [
  [/\bfor ever\b/i, "permanently, endlessly, or nothing"],
  [/\b(agent|agent's) door\b|_DOOR|\bDOOR\b|\bdoor\b/i, "agent endpoint"],
  [/\bpatience/i, "deadline, timeout"],
  [/\blast.?words\b/i, "read after reset"],
  [/\bnotice.?board\b/i, "notice log"],
  [/\bvacanc(y|ies)\b/i, "capacity queue"],
  [/\bsettling\b|\bSettling/, "reconciler"],
  [/\bat full voice\b/i, "warn once, then debug"],
  [/\bturns? about\b/i, "reversed"],
  [/\btake[ns]? back\b|\btook back\b|\bbarred\b/i, "revoke"],
  [/\bclass (Arrivals|Passing|Fronts|Drained|Slots|Gate)\b/, "the field's own names"],
];

/** The list itself. */
const THIS_FILE = "test/words.test.ts";

const SOURCES: Source[] = ["src", "test", "docs", "agents", "certs", "compose"]
  .flatMap((folder) =>
    globSync(`${folder}/**/*.{ts,md,sh,yaml}`, { cwd: ROOT, exclude: ["**/node_modules/**"] }),
  )
  .concat("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
  .map((file) => file.replaceAll(path.sep, "/"))
  .filter((file) => file !== THIS_FILE)
  .map((file) => ({ file, text: readFileSync(path.join(ROOT, file), "utf8") }));

describe("the words of the project", () => {
  for (const [old, current] of OLD_WORDS) {
    it(`has no ${old.source}: ${current}`, () => assert.deepEqual(mentions(SOURCES, old), []));
  }

  it("finds an old word wherever it stands", () => {
    const [first = assert.fail()] = OLD_WORDS;
    const text = "/** Waits.\n * Waits for ever. */\n";
    assert.deepEqual(mentions([{ file: "src/a.ts", text }], first[0]), ["src/a.ts:2 says for ever"]);
  });
});
