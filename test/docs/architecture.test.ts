/** docs/architecture.md has a line for every room, in the order of the imports, and names only files that exist. */
import assert from "node:assert/strict";
import { existsSync, globSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { fences, readDocument, ROOT, sections, tableRows } from "./markdown.ts";

const text = readDocument("docs/architecture.md");

/** Folders below src/, with a slash at their end: `control/auth/`. */
const ROOMS = globSync("src/*/*/", { cwd: ROOT }).map(
  (room) => `${room.replaceAll(path.sep, "/").slice(4)}/`,
);

/** Paragraphs, list items and table rows, without code blocks. */
function blocksOf(markdown: string): string[] {
  const prose = fences(markdown).reduce((rest, { body }) => rest.replace(body, ""), markdown);
  return prose.split(/\n(?=\n|\* |\d+\. |\|)/);
}

/** A bare name is a file of the folder that its block names before it, a path one below src/ or the root. */
function missingFiles(markdown: string): string[] {
  return blocksOf(markdown).flatMap((block) => {
    let folder = "";
    return [...block.matchAll(/`([\w./-]+(?:\.ts|\/))`/g)].flatMap(([, name = ""]) => {
      if (name.includes("/")) folder = name.slice(0, name.lastIndexOf("/") + 1);
      const places = name.includes("/") ? [name, `src/${name}`] : [`src/${folder}${name}`];
      return name.startsWith("/") || places.some((place) => existsSync(path.join(ROOT, place))) ? [] : [name];
    });
  });
}

describe("docs/architecture.md", () => {
  it("has a line for every room, and for no other", () => {
    const parts = sections(text, 3);
    const listed = [...parts].flatMap(([layer, body]) =>
      tableRows(body)
        .filter(([room = ""]) => room.startsWith("`"))
        .map(([room = "", line = ""]) => {
          assert.ok(line.length > 10, `${layer}/${room} says what it is`);
          return `${layer}/${room.replaceAll("`", "")}`;
        }),
    );
    assert.deepEqual(listed.toSorted(), ROOMS.toSorted());
  });

  it("names only files and folders that exist", () => {
    const stories = text.replace(/^## Rooms\n[^]*?(?=^## )/m, "");
    assert.deepEqual(missingFiles(stories), []);
    const rooms = sections(text, 3);
    for (const body of rooms.values()) {
      const inLayer = body.replace(/^\|.*\|$/gm, "");
      assert.deepEqual(missingFiles(inLayer), []);
    }
  });

  it("crosses every room at most once in each of its stories", () => {
    const parts = sections(text, 2);
    for (const story of ["One request", "One WebSocket", "One agent's life", "One user session"]) {
      const crossed = [...(parts.get(story) ?? "").matchAll(/\*\*`([\w/-]+\/)`\*\*/g)].map(
        ([, room]) => room,
      );
      assert.ok(crossed.length >= 5, story);
      assert.deepEqual(crossed, [...new Set(crossed)], story);
    }
  });

  it("names where to look for at least 25 everyday changes", () => {
    assert.ok(tableRows(sections(text, 2).get("Where to look") ?? "").length > 25);
  });

  it("would find a name that does not exist", () => {
    assert.deepEqual(
      missingFiles("see `control/auth/` and `tickets.ts`, `wire/limits.ts`\n\n* `no/such.ts`"),
      ["tickets.ts", "no/such.ts"],
    );
  });
});
