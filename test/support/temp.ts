/** Paths for Unix sockets and files of one test process. */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

let directory: string | undefined;
let count = 0;

/** A path that nothing has used yet, short enough for a Unix socket; removed when the process ends. */
export function tempPath(suffix = ".sock"): string {
  if (directory === undefined) {
    const created = mkdtempSync(path.join(os.tmpdir(), "turnabout-"));
    directory = created;
    process.once("exit", () => rmSync(created, { recursive: true, force: true }));
  }
  count += 1;
  return path.join(directory, `${count}${suffix}`);
}
