/**
 * Which certificates a folder has had, until they end by themselves: a renewal replaces the file, and anyone with a copy
 * of the one before could go on with it after the folder was revoked.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";

export interface Issued {
  folder: string;
  serial: string;
  /** ISO 8601. */
  notAfter: string;
}

const FILE_NAME = "issued.json";

/** Those that have not ended. */
export async function readIssued(root: string): Promise<Issued[]> {
  const text = await readFile(path.join(root, FILE_NAME), "utf8").catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "[]";
    throw error;
  });
  return (JSON.parse(text) as Issued[]).filter(({ notAfter }) => Date.parse(notAfter) > Date.now());
}

/** Before its certificate is written anywhere: an interrupted run may name one too many, never one too few. */
export async function recordIssued(root: string, entry: Issued): Promise<void> {
  const draft = path.join(root, `.${FILE_NAME}`);
  await writeFile(draft, `${JSON.stringify([...(await readIssued(root)), entry], undefined, 2)}\n`);
  await rename(draft, path.join(root, FILE_NAME));
}
