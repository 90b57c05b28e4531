/**
 * `POST /upload?open_file_manager=false`: stores the form's field `file` in the folder `incoming` of the desktop's user.
 *
 * The file appears there when it is complete, under its own name or, if that is taken, with a number: `a (1).txt`.
 */
import { randomUUID } from "node:crypto";
import { link, mkdir, open, unlink } from "node:fs/promises";
import { extname, join } from "node:path";
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { chunksOf } from "./body.ts";
import { errorCodeOf, Failure, messageOf, methodNotAllowed } from "./errors.ts";
import { Semaphore } from "./semaphore.ts";
import {
  MAX_FILENAME_BYTES,
  MAX_UPLOAD_BYTES,
  MAX_UPLOAD_OVERHEAD_BYTES,
  MAX_UPLOADS,
  MAX_WAITING_UPLOADS,
} from "./limits.ts";
import type { Logger } from "./log.ts";
import { storeFile } from "./multipart.ts";

export interface UploadOptions {
  /** Created at the first upload. */
  folder: string;
  maxBytes?: number;
  /** Shows the file on the desktop; only requested with `open_file_manager` other than `false`. */
  showFile: (path: string) => void;
  log: Logger;
}

interface Uploaded {
  path: string;
  size: number;
  filename: string;
}

const TOO_LARGE = "File too large";

export function uploadRoutes(options: UploadOptions): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  const { maxBytes = MAX_UPLOAD_BYTES, folder, log } = options;
  const uploads = new Semaphore("uploads", MAX_UPLOADS, MAX_WAITING_UPLOADS);
  app.all("/upload", async (c) => {
    if (c.req.method !== "POST") return methodNotAllowed("POST");
    const uploaded = await uploads.run(async () => {
      const chunks = chunksOf(c.env.incoming, maxBytes + MAX_UPLOAD_OVERHEAD_BYTES, TOO_LARGE);
      const type = c.req.header("content-type");
      return storeFile(chunks, type, async (filename, content) => {
        return store(folder, checkName(filename), content, maxBytes);
      });
    });
    if (uploaded === undefined) throw new Failure(400, "Failed to get file: no field named file");
    log.info({ size: uploaded.size }, "file uploaded");
    if (c.req.query("open_file_manager") !== "false") options.showFile(uploaded.path);
    return c.json(uploaded);
  });
  return app;
}

/** @throws Failure 400 for an empty name, or one that is a path */
function checkName(filename: string): string {
  // oxlint-disable-next-line no-control-regex
  const isPath = /[/\\\u0000-\u001F\u007F]/.test(filename);
  if (isPath || filename === "" || filename === "." || filename === "..") {
    throw new Failure(400, "Invalid filename");
  }
  if (Buffer.byteLength(filename) > MAX_FILENAME_BYTES) throw new Failure(400, "Filename too long");
  return filename;
}

async function store(
  folder: string,
  filename: string,
  body: AsyncIterable<Buffer>,
  maxBytes: number,
): Promise<Uploaded> {
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
