/** docs/helix.md: its commands, executed as they stand, on a host that is laid out as in the guide. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { readDocument, ROOT, tableRows } from "../docs/markdown.ts";
import { aloneCannot, runAlone } from "./alone.ts";

const skip = aloneCannot("sway", "swaybg", "grim", "wl-copy", "foot", "curl");

test("docs/helix.md: every command of it", { skip }, (t) => runAlone(t, "helix-guide.child.ts"));

test("docs/helix.md: every test that it names is there", () => {
  const cells = tableRows(readDocument("docs/helix.md")).map((row) => row.at(-1) ?? "");
  let named = 0;
  for (const cell of cells) {
    let folder = "";
    for (const [, path = ""] of cell.matchAll(/`([\w/-]+\.test\.ts)`/g)) {
      if (path.includes("/")) folder = dirname(path);
      const file = path.includes("/") ? path : join(folder, path); // beside the one before it
      assert.ok(existsSync(join(ROOT, file)), file);
      named += 1;
    }
  }
  assert.ok(named > 15);
});
