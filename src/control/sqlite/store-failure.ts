/** Why the store cannot be used now: a closed set of reasons, found from SQLite's and the system's errors. */
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";

export type StoreProblem =
  | "full"
  | "read-only"
  | "missing"
  | "replaced"
  | "locked"
  | "in-use"
  | "corrupt"
  | "failing"
  | "released";

const TEXTS: Readonly<Record<StoreProblem, string>> = {
  full: "the disk is full",
  "read-only": "the file system or the file is read-only",
  missing: "the database file is not in the data directory",
  replaced: "the database file was replaced by another one",
  locked: "another process has locked the database",
  "in-use": "another process holds the data directory",
  corrupt: "the database is damaged",
  failing: "input or output fails",
  released: "the data directory was handed over to another process",
};

/** What an operator can do, where that is not obvious. */
export const STORE_HINTS: Readonly<Partial<Record<StoreProblem, string>>> = {
  missing: "create the data directory again: the database is then written anew from memory",
  replaced: "put the former file back, or restart the control plane to use the new one",
  corrupt:
    "remove turnabout.db: it is then written anew from memory; a restart does not accept the damaged one",
};

/** A problem that this program has found itself. */
export class StoreFailure extends Error {
  override readonly name = "StoreFailure";
  readonly problem: StoreProblem;

  constructor(problem: StoreProblem, cause?: unknown) {
    super(TEXTS[problem], { cause });
    this.problem = problem;
  }
}

/** Primary result codes of SQLite (https://sqlite.org/rescode.html). */
const BY_RESULT: ReadonlyMap<number, StoreProblem> = new Map([
  [5, "locked"], // BUSY
  [6, "locked"], // LOCKED
  [8, "read-only"],
  [11, "corrupt"],
  [13, "full"],
  [26, "corrupt"], // NOTADB
]);
/** Errors of a statement itself, which are no failure of the disk: TOOBIG, CONSTRAINT, MISMATCH, MISUSE, RANGE. */
const OF_STATEMENTS: ReadonlySet<number> = new Set([18, 19, 20, 21, 25]);
/** Extended result codes that say more: SQLITE_READONLY_DBMOVED, SQLITE_IOERR_SHMSIZE (no room for the shared memory). */
const BY_EXTENDED_RESULT: ReadonlyMap<number, StoreProblem> = new Map([
  [1_032, "missing"],
  [4_874, "full"],
]);

const BY_ERRNO: Readonly<Record<string, StoreProblem>> = {
  ENOENT: "missing",
  ENOTDIR: "missing",
  ENOSPC: "full",
  EDQUOT: "full",
  EROFS: "read-only",
};

/** Undefined for an error that has another cause than the disk: it is the program's own. */
export function problemOf(error: unknown): StoreProblem | undefined {
  if (error instanceof StoreFailure) return error.problem;
  const code = errorCodeOf(error);
  if (code === "ERR_SQLITE_ERROR") return problemOfSqlite(error);
  if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) return undefined;
  return BY_ERRNO[code] ?? "failing";
}

function problemOfSqlite(error: unknown): StoreProblem | undefined {
  const result = resultOf(error);
  if (OF_STATEMENTS.has(result & 0xff)) return undefined;
  return BY_EXTENDED_RESULT.get(result) ?? BY_RESULT.get(result & 0xff) ?? "failing";
}

/** SQLite's extended result code. */
function resultOf(error: unknown): number {
  return typeof error === "object" && error !== null && "errcode" in error ? Number(error.errcode) : 0;
}

/** @param what phase and subject, for the log */
export function unavailable(what: string, problem: StoreProblem, cause: unknown): TurnaboutError {
  return new TurnaboutError("store_unavailable", `${what}: not saved, ${TEXTS[problem]}`, {
    cause,
    details: [`not saved: ${TEXTS[problem]}`],
  });
}
