/** docs/library.md names every function of the package, and its tables have signatures and options that the types have. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import * as turnabout from "../../src/index.ts";
import * as helix from "../../src/helix/index.ts";
import * as docker from "../../src/clients/docker.ts";
import { fences, readDocument, ROOT, sections, tableRows } from "./markdown.ts";

const text = readDocument("docs/library.md");
const prose = fences(text).reduce((rest, { body }) => rest.replace(body, ""), text);
const EXPORTS = { ...turnabout, ...helix, ...docker };

/** What the expressions of the tables use. */
const PRELUDE = `
import type { Agent, ControlPlane, Dial, DialOptions, RemoteDialOptions } from "../../../src/index.ts";
import * as all from "../../../src/index.ts";
import * as helixAll from "../../../src/helix/index.ts";
import { createDockerClient } from "../../../src/clients/docker.ts";
const { ${Object.keys(turnabout).join(", ")} } = all;
const { ${Object.keys(helix).join(", ")} } = helixAll;
declare const agent: Agent, controlPlane: ControlPlane, dial: Dial;
declare const options: any, destination: any, identity: any, provider: any, path: string;
declare const runner: string, target: string, server: string, token: string, ca: string;
declare const signal: AbortSignal, waitMs: number, early: boolean;
type Options = { DialOptions: DialOptions; RemoteDialOptions: RemoteDialOptions };
`;
const GIVEN = new Set([...Object.keys(EXPORTS), "agent", "controlPlane", "dial"]);

function spansOf(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);
}

/** TypeScript expressions among the code of the tables. A member stands behind the call in the first cell of its row. */
function expressionsOf(rows: readonly string[][]): string[] {
  return rows.flatMap(([subjectCell = "", ...cells]) => {
    const subjects = spansOf(subjectCell);
    const [subject = ""] = subjects;
    const members = cells.flatMap(spansOf).filter((span) => /^[a-z]\w*(\(.*\))?$/.test(span));
    return [
      ...[...subjects, ...cells.flatMap(spansOf)].filter(
        (span) => /^[a-z][\w.]*\(/.test(span) && GIVEN.has(/^\w+/.exec(span)?.[0] ?? ""),
      ),
      ...members
        .filter((span) => subject.startsWith("create") && !GIVEN.has(/^\w+/.exec(span)?.[0] ?? ""))
        .filter((span) => !/^(docker|dockerode|fetch)\b/.test(span))
        .map((span) => `(await ${subject}).${span}`),
    ];
  });
}

/** Lines that only compile with exactly the options of a table's first column. */
function optionsOf(markdown: string): string[] {
  return ["DialOptions", "RemoteDialOptions"].map((type) => {
    const table =
      new RegExp(`^\\| \`${type}\` \\|[^]*?\\n(?!\\|)`, "m").exec(markdown)?.[0] ?? assert.fail(type);
    const names = tableRows(table)
      .slice(1)
      .map(([name = ""]) => `${name.replaceAll("`", "")}: true`);
    return `({ ${names.join(", ")} }) satisfies Record<keyof Options["${type}"], true>`;
  });
}

/** What the compiler says of the lines of each file. */
async function compile(files: Readonly<Record<string, readonly string[]>>): Promise<string[]> {
  const folder = mkdtempSync(path.join(ROOT, "test/docs/.library-"));
  try {
    const names = Object.keys(files);
    for (const [name, lines] of Object.entries(files)) {
      const body = lines.map((line) => `${line};`).join("\n");
      writeFileSync(path.join(folder, name), `${PRELUDE}${body}\nexport {};\n`);
    }
    const compilerOptions = { noUnusedLocals: false };
    const project = { extends: "../../../tsconfig.json", compilerOptions, include: [], files: names };
    writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(project));
    const { promise, resolve } = Promise.withResolvers<string>();
    const tsc = path.join(ROOT, "node_modules/.bin/tsc");
    execFile(tsc, ["-p", folder], { cwd: ROOT }, (_error, stdout) => resolve(stdout));
    return (await promise).split("\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe("docs/library.md", () => {
  it("names every function and class of the package", () => {
    const missing = Object.keys(EXPORTS).filter((name) => !new RegExp(`\`${name}\\b`).test(prose));
    assert.deepEqual(missing, []);
  });

  it("has tables that the types agree with", async () => {
    const parts = [...sections(prose, 2).values()].flatMap(tableRows);
    const expressions = expressionsOf(parts);
    assert.ok(expressions.includes("createHttpAgent(dial, runner, target)"), expressions.join("\n"));
    assert.ok(expressions.includes("(await createControlPlane(options)).listenFd()"), expressions.join("\n"));
    const wrong = [
      ...expressionsOf([
        ["`createHttpAgent(dial)`", ""],
        ["`createControlPlane(options)`", "`nothing()`"],
      ]),
      `({ server: true, token: true }) satisfies Record<keyof Options["RemoteDialOptions"], true>`,
    ];
    const found = await compile({ "tables.ts": [...expressions, ...optionsOf(prose)], "wrong.ts": wrong });
    assert.deepEqual(
      found.filter((line) => line.includes("tables.ts")),
      [],
    );
    // A wrong signature, a wrong member and a missing option are found.
    assert.deepEqual(
      found.flatMap((line) => /wrong\.ts.*error (TS\d+)/.exec(line)?.[1] ?? []),
      ["TS2554", "TS2339", "TS2741"],
    );
  });
});
