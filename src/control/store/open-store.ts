/** Opens a store in its data directory, which no other process may use meanwhile. */
import { DataDirectoryLock } from "../sqlite/data-directory-lock.ts";
import { unusable } from "../sqlite/database.ts";
import { makeFolder } from "../sqlite/make-folder.ts";
import { Store } from "./store.ts";
import type { StoreOptions } from "./store.ts";

/**
 * Takes the lock on the directory, then opens the database.
 *
 * @param waitMs how long another process that holds the directory is waited for
 * @throws TurnaboutError `config_invalid`
 */
export async function openStore(options: StoreOptions, waitMs = 0): Promise<Store> {
  const { directory } = options;
  if (directory === undefined) return new Store(options);
  let lock: DataDirectoryLock | undefined;
  try {
    makeFolder(directory, 0o700);
    lock = await DataDirectoryLock.take(directory, waitMs);
    return new Store(options, lock);
  } catch (cause) {
    lock?.release();
    throw unusable(directory, cause);
  }
}
