/**
 * The folder that uploads go to. A file appears there when it is complete, under its own name or, if that is taken, with
 * a number: `a (1).txt`.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, unlink } from "node:fs/promises";
import { extname, join } from "node:path";
import { errorCodeOf, Failure, messageOf } from "../errors.ts";
import { MAX_FILENAME_BYTES } from "../limits.ts";

export interface StoredFile {
  path: string;
  size: number;
  filename: string;
}

export const TOO_LARGE = "File too large";

/**
 * The last part of a name that is a path, as in Helix's server. A backslash separates as well: some programs on Windows
 * send the whole path.
 *
 * @throws Failure 400 for what is no name of a file
 */
export function baseName(filename: string): string {
  const name = filename.split(/[/\\]/).findLast((part) => part !== "") ?? "";
  // oxlint-disable-next-line no-control-regex
  if (name === "" || name === "." || name === ".." || /[\u0000-\u001F\u007F]/.test(name)) {
    throw new Failure(400, "Invalid filename");
  }
  if (Buffer.byteLength(name) > MAX_FILENAME_BYTES) throw new Failure(400, "Filename too long");
  return name;
}

/** @throws Failure 413 for more than `maxBytes`, 500 if it cannot be written */
export async function storeIn(
  folder: string,
  filename: string,
  body: AsyncIterable<Buffer>,
  maxBytes: number,
): Promise<StoredFile> {
  const part = join(folder, `.${randomUUID()}.part`);
  try {
    await mkdir(folder, { recursive: true });
    await using file = await open(part, "wx", 0o644);
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      if (size > maxBytes) throw new Failure(413, TOO_LARGE);
      await file.appendFile(chunk);
    }
    const name = await giveName(folder, part, filename);
    return { path: join(folder, name), size, filename: name };
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(500, `Failed to write file: ${messageOf(error)}`, { cause: error });
  } finally {
    await unlink(part).catch(() => {});
  }
}

/** A hard link fails if the name is taken, so two uploads never get the same name. */
async function giveName(folder: string, part: string, filename: string): Promise<string> {
  const extension = extname(filename);
  const stem = filename.slice(0, filename.length - extension.length);
  for (let i = 0; ; i += 1) {
    const name = i === 0 ? filename : `${stem} (${i < 1_000 ? i : randomUUID().slice(0, 8)})${extension}`;
    try {
      await link(part, join(folder, name));
      return name;
    } catch (error) {
      if (errorCodeOf(error) !== "EEXIST") throw error;
    }
  }
}
