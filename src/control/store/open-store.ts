/** Opens a store in its data directory, which no other process may use meanwhile. */
import { copyFileSync } from "node:fs";
import path from "node:path";
import { toError } from "../../wire/errors.ts";
import { silentLogger } from "../../wire/log.ts";
import type { Logger } from "../../wire/log.ts";
import { DataDirectoryLock } from "../sqlite/data-directory-lock.ts";
import { FILE_NAME } from "../sqlite/file-names.ts";
import { makeFolder } from "../sqlite/make-folder.ts";
import { unusable } from "../sqlite/start-failure.ts";
import type { StartPhase } from "../sqlite/start-failure.ts";
import { walDamageOf } from "../sqlite/wal-damage.ts";
import { Store } from "./store.ts";
import type { StoreOptions } from "./store.ts";

/**
 * Takes the lock on the directory, then opens the database.
 *
 * @param waitMs how long another process that holds the directory is waited for
 * @throws TurnaboutError `config_invalid`
 */
export async function openStore(options: StoreOptions, waitMs = 0): Promise<Store> {
  const { directory, log = silentLogger } = options;
  if (directory === undefined) return new Store(options);
  let lock: DataDirectoryLock | undefined;
  let phase: StartPhase = "create";
  try {
    makeFolder(directory, 0o700);
    phase = "lock";
    lock = await DataDirectoryLock.take(directory, waitMs);
    phase = "open";
    reportWalDamage(directory, log);
    return new Store(options, lock);
  } catch (cause) {
    lock?.release();
    throw unusable(directory, phase, cause);
  }
}

/**
 * Changes that SQLite will not read are reported, and kept for whoever can use them. It is no reason to refuse the start: a loss
 * of power can leave the same behind, of changes that were never acknowledged.
 */
function reportWalDamage(directory: string, log: Logger): void {
  const wal = path.join(directory, `${FILE_NAME}-wal`);
  try {
    const damage = walDamageOf(wal);
    if (damage === undefined) return;
    const copy = `${wal}.damaged`;
    copyFileSync(wal, copy);
    log.error(
      {
        dataDirectory: directory,
        ...damage,
        copy,
        hint: "compare tokens and sessions with what you expect: revocations may be undone",
      },
      "store: the WAL is damaged: its last changes are lost",
    );
  } catch (error) {
    log.warn({ wal, reason: toError(error).message }, "store: the WAL could not be checked");
  }
}
