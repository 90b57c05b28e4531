/** Files as the real server's framework serves them: read once, never a path outside of their folders. */
import { readdir, readFile, stat } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { basename, extname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { empty } from "./responses.ts";

const SITES: string = fileURLToPath(new URL("sites", import.meta.url));

interface File {
  body: Buffer;
  headers: Readonly<Record<string, string>>;
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
};

const RANGE = /^bytes=(\d+)-(\d*)$/;

export class StaticFiles {
  readonly #files: ReadonlyMap<string, File>;

  private constructor(files: ReadonlyMap<string, File>) {
    this.#files = files;
  }

  /** The page of a dialect, and what the pages share. */
  static async ofSite(name: string): Promise<StaticFiles> {
    const files = new Map<string, File>();
    for (const folder of [join(SITES, "shared"), join(SITES, name)]) {
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const path = join(entry.parentPath, entry.name);
        files.set(`/${relative(folder, path).replaceAll(sep, "/")}`, await readOne(path));
      }
    }
    return new StaticFiles(files);
  }

  serve({ method, headers }: IncomingMessage, path: string, response: ServerResponse): void {
    if (method !== "GET" && method !== "HEAD") return empty(response, 405);
    if (path.split("/").some((segment) => segment.startsWith("."))) return empty(response, 400);
    // A folder has no index but the page's own.
    const file = this.#files.get(path === "/" ? "/index.html" : path);
    if (file === undefined) return empty(response, 404);
    if (headers["if-none-match"] === file.headers["etag"]) {
      response.writeHead(304, file.headers).end();
      return;
    }
    const [isPart, from = 0, to = file.body.length] = rangeOf(headers.range, file.body.length);
    const body = file.body.subarray(from, to);
    response.writeHead(isPart ? 206 : 200, {
      ...file.headers,
      "content-length": body.length,
      ...(isPart && { "content-range": `bytes ${from}-${to - 1}/${file.body.length}` }),
    });
    response.end(method === "GET" ? body : undefined);
  }
}

async function readOne(path: string): Promise<File> {
  const [body, { ino, size, mtimeMs, mtime }] = await Promise.all([readFile(path), stat(path)]);
  return {
    body,
    headers: {
      "content-type": TYPES[extname(path)] ?? "application/octet-stream",
      "content-disposition": `inline; filename="${basename(path)}"`,
      "last-modified": mtime.toUTCString(),
      etag: `"${ino.toString(16)}:${size.toString(16)}:${Math.floor(mtimeMs).toString(16)}"`,
      "accept-ranges": "bytes",
    },
  };
}

/** A range that cannot be had is ignored. */
function rangeOf(range: string | undefined, size: number): [isPart: boolean, from?: number, to?: number] {
  const [, first = "", last = ""] = RANGE.exec(range ?? "") ?? [];
  const from = Number(first);
  const to = last === "" ? size : Math.min(Number(last) + 1, size);
  return first === "" || from >= to ? [false] : [true, from, to];
}
