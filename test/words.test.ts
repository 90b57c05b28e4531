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
  [/\b(class|interface) (Arrivals|Passing|Fronts?|Drained|Slots|Gate)\b/, "the field's own names"],
  [/\breversed (HTTP\/2 )?sessions?\b/i, "tunnel connection"],
];

/** Of HTTP it is a response. Of WebRTC it is the protocol's own word, in the files that speak its signalling. */
const ANSWER = /\b[Aa]nswer(s|ed|ing)?\b|\BAnswer(s|ed)?\b/;
const WEBRTC: readonly string[] = [
  "src/clients/moonlight/host-stream.ts",
  "src/demo/moonlight/fork/client-message.ts",
  "src/demo/moonlight/fork/signalling.test.ts",
  "src/demo/moonlight/fork/signalling.ts",
  "src/demo/moonlight/peer.ts",
  "src/demo/moonlight/sites/shared/stream/peer.js",
  "src/demo/moonlight/v2/signalling.ts",
  "src/demo/moonlight/v3/v3.test.ts",
  "src/demo/moonlight/v3/web-rtc.ts",
  "test/clients/moonlight.test.ts",
  "test/e2e/browser/page/viewer.js",
  "test/e2e/host/video-peer.ts",
  "test/system/helix/moonlight-signalling.test.ts",
  "test/system/helix/signalling.test.ts",
];

/** Two sentences with a semicolon between them: the first one's full stop has to go, which `joinReasons()` sees to. */
const JOINED_BY_HAND = /join\("; "\)|\$\{[^}]*(?:message|reason|\btext\b|\bseen\b)[^}()]*(?:\(\w+\))?\}; /;
const JOINED_FIELD_VALUES: readonly string[] = [
  "src/control/page/page-routes.ts",
  "src/control/reference/page.ts",
  "src/helix/moonlight/page-policy.ts",
  "src/wire/errors.ts",
];

/** The list itself. */
const THIS_FILE = "test/words.test.ts";

const SOURCES: Source[] = ["src", "test", "docs", "agents", "certs", "compose"]
  .flatMap((folder) =>
    globSync(`${folder}/**/*.{ts,tsx,js,go,py,md,sh,yaml}`, { cwd: ROOT, exclude: ["**/node_modules/**"] }),
  )
  .concat("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
  .map((file) => file.replaceAll(path.sep, "/"))
  .filter((file) => file !== THIS_FILE)
  .map((file) => ({ file, text: readFileSync(path.join(ROOT, file), "utf8") }));

describe("the words of the project", () => {
  for (const [old, current] of OLD_WORDS) {
    it(`has no ${old.source}: ${current}`, () => assert.deepEqual(mentions(SOURCES, old), []));
  }

  it("has answers in WebRTC's signalling only: response", () => {
    const others = SOURCES.filter(({ file }) => !WEBRTC.includes(file));
    assert.deepEqual(mentions(others, ANSWER), []);
    const unused = WEBRTC.filter(
      (file) => !SOURCES.some((one) => one.file === file && ANSWER.test(one.text)),
    );
    assert.deepEqual(unused, [], "exceptions without the word");
  });

  it("joins reasons in one place", () => {
    const sources = SOURCES.filter(({ file }) => file.startsWith("src/") && !file.endsWith(".test.ts"));
    const others = sources.filter(({ file }) => !JOINED_FIELD_VALUES.includes(file));
    assert.deepEqual(mentions(others, JOINED_BY_HAND), []);
    assert.equal(mentions(sources, JOINED_BY_HAND).length, JOINED_FIELD_VALUES.length);
  });

  it("finds an old word wherever it stands", () => {
    const [first = assert.fail()] = OLD_WORDS;
    const text = "/** Waits.\n * Waits for ever. */\n";
    assert.deepEqual(mentions([{ file: "src/a.ts", text }], first[0]), ["src/a.ts:2 says for ever"]);
  });
});
