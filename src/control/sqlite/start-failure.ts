/**
 * Why a data directory cannot be used at the start, as the operator gets it: the phase, the path, the cause and what to do.
 * SQLite reports few causes; behind some of them is a path that this process may not use, which is then named.
 */
import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";
import { systemErrorHint, systemErrorText } from "../../wire/system/system-errors.ts";
import { FILE_NAME, FILES_BESIDE, LOCK_FILE } from "./file-names.ts";
import { problemOf } from "./store-failure.ts";
import type { StoreProblem } from "./store-failure.ts";

export type StartPhase = "create" | "lock" | "open";

/** What cannot be done, and to what. */
const PHASES: Readonly<Record<StartPhase, string>> = {
  create: "cannot be created",
  lock: "cannot be locked",
  open: "the database cannot be opened",
};

interface Reason {
  what: string;
  hint: string | undefined;
}

const REASONS: Readonly<Partial<Record<StoreProblem, Reason>>> = {
  locked: {
    what: "another program has locked it",
    hint: `close the program that uses ${FILE_NAME} (a backup, sqlite3), which \`fuser\` on that file finds, and start again`,
  },
  "read-only": {
    what: "it cannot be written",
    hint: `make ${FILE_NAME}, the files beside it and their directory writable for the user of this process`,
  },
  full: {
    what: "the disk is full",
    hint: "free some space on the file system of the data directory; a database that is there already opens on a full disk",
  },
  failing: { what: "input or output fails", hint: "check the disk: the kernel's log has more about it" },
  corrupt: {
    what: `${FILE_NAME} is damaged or no database`,
    hint: `restore a backup; or move ${FILE_NAME}, ${FILE_NAME}-wal and ${FILE_NAME}-shm away to start with an empty one`,
  },
};

/** @param directory undefined: the database is in memory */
export function unusable(directory: string | undefined, phase: StartPhase, cause: unknown): TurnaboutError {
  if (cause instanceof TurnaboutError) return cause;
  const subject = directory === undefined ? "database in memory" : `data directory ${directory}`;
  const { message } = toError(cause);
  const { what, hint } = reasonOf(directory, cause);
  return new TurnaboutError("config_invalid", `${subject}: ${PHASES[phase]}: ${what} (${message})`, {
    cause,
    ...(hint !== undefined && { hint }),
  });
}

function reasonOf(directory: string | undefined, cause: unknown): Reason {
  const text = systemErrorText(cause);
  if (text !== undefined) return { what: text, hint: hintOf(cause, directory) };
  const problem = problemOf(cause);
  const isOfPath = problem === "failing" || problem === "read-only";
  const blocked = isOfPath && directory !== undefined ? blockedPath(directory) : undefined;
  return blocked ?? (problem && REASONS[problem]) ?? { what: "not usable", hint: undefined };
}

/** Of the paths that are used, the first that this process may not read and write, or that is no file. */
function blockedPath(directory: string): Reason | undefined {
  const names = [LOCK_FILE, FILE_NAME, ...FILES_BESIDE.map((suffix) => FILE_NAME + suffix)];
  for (const used of [directory, ...names.map((name) => path.join(directory, name))]) {
    try {
      accessSync(used, constants.R_OK | constants.W_OK);
      if (used === directory || statSync(used).isFile()) continue;
      return { what: `${used} is not a file`, hint: "move it away, or choose another data directory" };
    } catch (error) {
      if (errorCodeOf(error) === "ENOENT" && used !== directory) continue;
      const what = `${used}: ${systemErrorText(error) ?? toError(error).message}`;
      return { what, hint: hintOf(error, used) };
    }
  }
  return undefined;
}

/** With who owns the path and who this process is, where that decides. */
function hintOf(error: unknown, used: string | undefined): string | undefined {
  const hint = systemErrorHint(error, "directory");
  const code = errorCodeOf(error);
  if (used === undefined || (code !== "EACCES" && code !== "EPERM")) return hint;
  const owner = ownerOf(used);
  return owner === undefined ? hint : `${hint} (${owner})`;
}

/** Of the path, or of the nearest directory above it that exists. */
function ownerOf(used: string): string | undefined {
  for (let at = path.resolve(used); ; at = path.dirname(at)) {
    try {
      const { uid, mode } = statSync(at);
      const own = process.getuid?.();
      return `${at} belongs to user ${uid}, mode ${(mode & 0o7777).toString(8)}; this is user ${own ?? "?"}`;
    } catch {
      if (at === path.dirname(at)) return undefined;
    }
  }
}
