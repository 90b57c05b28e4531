/** The built page of `src/dashboard`: its files with their compressed forms, read once. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { errorCodeOf } from "../../wire/errors.ts";

export type Encoding = "br" | "gzip" | "identity";

export interface PageFile {
  type: string;
  etag: string;
  /** `identity` is always there. */
  content: Readonly<Partial<Record<Encoding, Uint8Array<ArrayBuffer>>>>;
}

export type PageFiles = ReadonlyMap<string, PageFile>;

/** Where the build puts them: the same place for the sources and for the built package. */
const FOLDER = fileURLToPath(new URL("../../../dist/page/", import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
};

/** @returns undefined if the page has not been built */
export async function readPageFiles(folder: string = FOLDER): Promise<PageFiles | undefined> {
  try {
    const names = await readdir(folder);
    const files = new Map<string, PageFile>();
    for (const name of names) {
      const type = TYPES[path.extname(name)];
      if (type !== undefined) files.set(name, await readPageFile(folder, name, type));
    }
    return files.has("index.html") ? files : undefined;
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function readPageFile(folder: string, name: string, type: string): Promise<PageFile> {
  const read = async (suffix: string): Promise<Uint8Array<ArrayBuffer>> =>
    new Uint8Array(await readFile(path.join(folder, `${name}${suffix}`)));
  const identity = await read("");
  const etag = createHash("sha256").update(identity).digest("base64url").slice(0, 22);
  const [br, gzip] = await Promise.all([read(".br"), read(".gz")]);
  return { type, etag, content: { identity, br, gzip } };
}
