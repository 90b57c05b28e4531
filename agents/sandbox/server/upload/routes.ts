/** `POST /upload?open_file_manager=false`: stores the form's field `file` in the folder `incoming` of the desktop's user. */
import type { HttpBindings } from "@hono/node-server";
import { Hono } from "hono";
import { Failure, methodNotAllowed } from "../errors.ts";
import { chunksOf } from "../http/body.ts";
import { MAX_UPLOAD_BYTES, MAX_UPLOAD_OVERHEAD_BYTES, MAX_UPLOADS, MAX_WAITING_UPLOADS } from "../limits.ts";
import type { Logger } from "../log.ts";
import { Semaphore } from "../semaphore.ts";
import { baseName, storeIn, TOO_LARGE } from "./incoming-folder.ts";
import { storeFile } from "./multipart.ts";

export interface UploadOptions {
  /** Created at the first upload. */
  folder: string;
  maxBytes?: number;
  /** Shows the file on the desktop; only requested with `open_file_manager` other than `false`. */
  showFile: (path: string) => void;
  log: Logger;
}

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
        return storeIn(folder, baseName(filename), content, maxBytes);
      });
    });
    if (uploaded === undefined) throw new Failure(400, "Failed to get file: no field named file");
    log.info({ size: uploaded.size }, "file uploaded");
    if (c.req.query("open_file_manager") !== "false") options.showFile(uploaded.path);
    return c.json(uploaded);
  });
  return app;
}
