/** Opens a store in its data directory, which no other process may use meanwhile. */
import { copyFileSync } from "node:fs";
import path from "node:path";
import { toError, TurnaboutError } from "../../wire/errors.ts";
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
    checkWal(directory, log);
    return new Store(options, lock);
  } catch (cause) {
    lock?.release();
    throw unusable(directory, phase, cause);
  }
}

/**
 * Changes that SQLite will not read are reported, and kept for whoever can use them. They are no reason to refuse the start: a loss
 * of power can leave the same behind, of changes that were never acknowledged. It cannot damage the header, which is flushed
 * first.
 *
 * @throws TurnaboutError `config_invalid` if nothing of the WAL can be read
 */
function checkWal(directory: string, log: Logger): void {
  const name = `${FILE_NAME}-wal`;
  const wal = path.join(directory, name);
  const damage = walDamageOf(wal);
  if (damage === undefined) return;
  if (damage.atByte === 0) {
    const what = `${name} is damaged: all that it has would be ignored`;
    throw new TurnaboutError(
      "config_invalid",
      `data directory ${directory}: the database cannot be opened: ${what}`,
      {
        hint: `restore a backup; or move ${name} away to start without the changes that it has`,
      },
    );
  }
  const copy = `${wal}.damaged`;
  const hint = "compare tokens and sessions with what you expect: revocations may be undone";
  try {
    copyFileSync(wal, copy);
  } catch (error) {
    log.warn({ copy, reason: toError(error).message }, "store: the damaged WAL could not be kept");
  }
  log.error(
    { dataDirectory: directory, ...damage, copy, hint },
    "store: the WAL is damaged: its last changes are lost",
  );
}
