/** Creates a folder with its parents, anywhere. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import path from "node:path";

/**
 * Not `mkdir`'s own `recursive`: where a file system says of a new folder that it does not exist, as /proc does, node
 * retries endlessly.
 *
 * @throws an error of the system
 */
export function makeFolder(folder: string, mode = 0o777): void {
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && statSync(folder).isDirectory()) return;
    const parent = path.dirname(path.resolve(folder));
    if (code !== "ENOENT" || existsSync(parent)) throw error;
    makeFolder(parent, mode);
    makeFolder(folder, mode);
  }
}
