/** Warns of secrets that other users of the machine can read. */
import { statSync } from "node:fs";
import type { Logger } from "../../wire/log.ts";

/** Others may read, write or execute. A group is often made for it. */
const OTHERS = 0o007;

/** Where container engines mount secrets: readable in the container, which is the process's own. */
const MOUNTED_SECRETS = /^(?:\/var)?\/run\/secrets\//;

/** At the start only. A file that is not there yet is not reported: other errors are about that. */
export function warnOfOpenSecrets(files: readonly (string | undefined)[], log: Logger): void {
  for (const file of files) {
    if (file === undefined || MOUNTED_SECRETS.test(file)) continue;
    const mode = modeOf(file);
    if ((mode & OTHERS) === 0) continue;
    log.warn(
      { file, mode: (mode & 0o777).toString(8), hint: `chmod 600 ${file}` },
      "other users of this machine can read this secret",
    );
  }
}

function modeOf(file: string): number {
  try {
    const stat = statSync(file);
    return stat.isFile() ? stat.mode : 0; // a directory is an error of its own
  } catch {
    return 0;
  }
}
