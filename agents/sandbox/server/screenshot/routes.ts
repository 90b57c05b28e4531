/**
 * `GET /screenshot?format=jpeg|png&quality=1..100`.
 *
 * `Cache-Control` is Helix's, `no-store` included: pictures of a user's desktop must not be stored on the way. It
 * does not hinder polling, because a polling client keeps the picture and its `ETag` itself and asks with
 * `If-None-Match`; the control plane's public route tells browsers to do so (`private, no-cache`). A 304 saves the
 * encoding as well as the bytes, since the tag is made from the captured picture: its pixels and how they are requested,
 * and not what the server happened to be doing. `HEAD` is `GET` without the picture.
 */
import { Hono } from "hono";
import { failureResponse, messageOf, methodNotAllowed, Failure } from "../errors.ts";
import { JPEG_QUALITY } from "../limits.ts";
import type { Logger } from "../log.ts";
import { encode } from "./encode.ts";
import type { PictureFormat } from "./encode.ts";
import type { Frame, SharedFrames } from "./shared-frames.ts";

const CACHE_CONTROL = "no-cache, no-store, must-revalidate";

export function screenshotRoutes(frames: SharedFrames, log: Logger): Hono {
  const app = new Hono();
  app.all("/screenshot", async (c) => {
    if (c.req.method !== "GET" && c.req.method !== "HEAD") return methodNotAllowed("GET, HEAD");
    const format = parseFormat(c.req.query("format"));
    const quality = parseQuality(c.req.query("quality"));
    try {
      const frame = await frames.frame();
      const etag = etagOf(frame, format, quality);
      const headers = { etag, "cache-control": CACHE_CONTROL };
      if (matches(c.req.header("if-none-match"), etag)) return new Response(null, { status: 304, headers });
      const picture = await encode(frame, format, quality);
      return new Response(new Uint8Array(picture.buffer as ArrayBuffer, picture.byteOffset, picture.length), {
        headers: { ...headers, "content-type": `image/${format}`, "content-length": String(picture.length) },
      });
    } catch (error) {
      log.debug({ err: error }, "screenshot failed");
      const failure =
        error instanceof Failure
          ? error
          : new Failure(500, `Failed to capture screenshot: ${messageOf(error)}`);
      return failureResponse(failure, { "cache-control": CACHE_CONTROL });
    }
  });
  return app;
}

/** As Helix's server: JPEG unless something else is requested, and anything else is PNG. Its media type says PNG, too. */
function parseFormat(text: string | undefined): PictureFormat {
  return text === undefined || text === "" || text === "jpeg" || text === "jpg" ? "jpeg" : "png";
}

/** Clamped to 1..100; what is no whole number is the default. */
function parseQuality(text: string | undefined): number {
  if (text === undefined || !/^[+-]?\d{1,15}$/.test(text)) return JPEG_QUALITY;
  return Math.min(100, Math.max(1, Number(text)));
}

/** Strong: the same frame encoded the same way has the same bytes. Quality is none of PNG's business. */
function etagOf(frame: Frame, format: PictureFormat, quality: number): string {
  return `"${frame.digest}-${format}${format === "jpeg" ? quality : ""}"`;
}

/** RFC 9110 §13.1.2: a list of tags, compared weakly, or `*`. */
function matches(field: string | undefined, etag: string): boolean {
  if (field === undefined) return false;
  if (field.trim() === "*") return true;
  return field.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
