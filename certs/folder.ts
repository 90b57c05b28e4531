/**
 * A folder whose files change together or not at all, as Kubernetes mounts its secrets: `tls.crt` and `tls.key` are
 * links through `..data`, a link to the generation in use, and one rename moves it on. An interrupted run leaves the
 * old pair or the new one, never a certificate with another's key.
 */
import { randomBytes } from "node:crypto";
import { chown, mkdir, open, readdir, readFile, realpath, rename, rm, stat, symlink } from "node:fs/promises";
import path from "node:path";
import { makeFolder } from "../src/control/sqlite/make-folder.ts";

export type Files = Readonly<Record<string, string>>;

const CURRENT = "..data";
/** Generations, and links that were not yet put in their place. */
const OURS = /^\.\.(?:gen|new)-[0-9a-f]+$/;
const PUBLIC_MODE = 0o644;
const PRIVATE_MODE = 0o600;

/** Undefined where there is no whole folder. */
export async function readFolder(folder: string): Promise<Files | undefined> {
  try {
    // One generation, also when the link moves on meanwhile.
    const current = await realpath(path.join(folder, CURRENT));
    const names = await readdir(current);
    const texts = await Promise.all(names.map((name) => readFile(path.join(current, name), "utf8")));
    return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? ""]));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * Replaces everything in it. Keys are readable by their owner only. If root runs this, they get the folder's owner, so that a
 * folder given to a container's user stays that user's when it is renewed.
 */
export async function writeFolder(folder: string, files: Files): Promise<void> {
  makeFolder(folder);
  const owner = process.getuid?.() === 0 ? await stat(folder) : undefined;
  const before = (await readdir(folder)).filter((name) => OURS.test(name));
  const generation = `..gen-${randomBytes(8).toString("hex")}`;
  await mkdir(path.join(folder, generation));
  if (owner !== undefined) await chown(path.join(folder, generation), owner.uid, owner.gid);
  for (const [name, text] of Object.entries(files)) {
    await writeDurably(path.join(folder, generation, name), text);
    if (owner !== undefined) await chown(path.join(folder, generation, name), owner.uid, owner.gid);
  }
  await replaceLink(folder, CURRENT, generation);
  for (const name of Object.keys(files)) await replaceLink(folder, name, path.join(CURRENT, name));
  // Also what an interrupted run has left behind.
  for (const name of before) await rm(path.join(folder, name), { recursive: true, force: true });
}

async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, "wx", file.endsWith(".key") ? PRIVATE_MODE : PUBLIC_MODE);
  try {
    await handle.writeFile(text);
    await handle.sync(); // before the rename: a power cut must not leave an empty key behind it
  } finally {
    await handle.close();
  }
}

async function replaceLink(folder: string, name: string, target: string): Promise<void> {
  const draft = path.join(folder, `..new-${randomBytes(4).toString("hex")}`);
  await symlink(target, draft);
  await rename(draft, path.join(folder, name));
}
