/** Which of the programs of a real display are installed. */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";

/** setpriv is part of util-linux: it drops root, and ends Sway when we are killed. */
const NEEDED: readonly string[] = ["sway", "grim", "setpriv"];

/** Empty when a real display can be started. */
export async function missingPrograms(): Promise<string[]> {
  const found = await Promise.all(NEEDED.map(isInstalled));
  return NEEDED.filter((_, i) => found[i] !== true);
}

export async function isInstalled(program: string): Promise<boolean> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    try {
      await access(join(folder, program), constants.X_OK);
      return true;
    } catch {
      // Not in this folder.
    }
  }
  return false;
}
