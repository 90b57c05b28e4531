/**
 * One run at a time changes a folder: two that make an authority each would leave certificates of one beside the other.
 * The lock is SQLite's on an empty file: the kernel's, so it ends with its process however that ends, and none is stale.
 */
import { chown, stat } from "node:fs/promises";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { TurnaboutError } from "../src/wire/errors.ts";

const FILE_NAME = ".lock";
/** A run takes a second; on a busy machine, or behind several others, a few more. */
const LOCK_WAIT_MS = 30_000;
const LOCK_RETRY_MS = 50;
/** https://sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;

/** @throws TurnaboutError if another run holds it for too long, or no file can be written there */
export async function withLock<T>(
  folder: string,
  run: () => Promise<T>,
  waitMs: number = LOCK_WAIT_MS,
): Promise<T> {
  const file = path.join(folder, FILE_NAME);
  using database = open(file);
  await lock(database, file, waitMs);
  // As with the certificates: root's run leaves nothing behind that the folder's owner cannot use.
  if (process.getuid?.() === 0) {
    const { uid, gid } = await stat(folder);
    await chown(file, uid, gid);
  }
  return await run();
}

async function lock(database: DatabaseSync, file: string, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    try {
      database.exec("BEGIN EXCLUSIVE");
      return;
    } catch (cause) {
      if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY) throw unusable(file, cause);
      if (performance.now() >= deadline) {
        const message = `lock ${file}: another run has been changing this folder for ${waitMs / 1_000} s`;
        throw new TurnaboutError("config_invalid", message, { cause, hint: "try again when it has ended" });
      }
    }
    // Not SQLite's own waiting, which would hold up whatever else this process does.
    await sleep(LOCK_RETRY_MS);
  }
}

function open(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { timeout: 0 });
  } catch (cause) {
    throw unusable(file, cause);
  }
}

function unusable(file: string, cause: unknown): TurnaboutError {
  return new TurnaboutError("config_invalid", `lock ${file}: ${(cause as Error).message}`, {
    cause,
    hint: "check the owner and mode of the folder and of this file; it is empty, and made anew when it is missing",
  });
}
