/** The clipboard on the wire: `{"type":"text"|"image","data":…}`, an image's data as base64. */
import { z } from "zod";
import { parseJson } from "../http/body.ts";
import { Failure } from "../errors.ts";
import type { ClipboardContent } from "./selection.ts";

/** As Helix's server reads it: what is no image is text, and what is left out is empty. */
const Message = z.object({ type: z.string().nullish(), data: z.string().nullish() });

export const EMPTY: ClipboardContent = { type: "text", bytes: Buffer.alloc(0) };

/** @throws Failure 400 for what is no such JSON, and for an image that is not base64 */
export function parseClipboard(body: Buffer): ClipboardContent {
  let value: unknown;
  try {
    value = parseJson(body);
  } catch (error) {
    throw new Failure(400, "Invalid JSON", { cause: error });
  }
  const parsed = Message.safeParse(value);
  if (!parsed.success) throw new Failure(400, "Invalid JSON");
  const data = parsed.data.data ?? "";
  if (parsed.data.type === "image") return { type: "image", bytes: decodeBase64(data) };
  return { type: "text", bytes: Buffer.from(data, "utf8") };
}

export function formatClipboard({ type, bytes }: ClipboardContent): string {
  return JSON.stringify({ type, data: bytes.toString(type === "image" ? "base64" : "utf8") });
}

/** Buffer.from skips whatever it does not know; a damaged picture should be refused instead. */
function decodeBase64(text: string): Buffer {
  const data = text.replaceAll(/[\r\n]/g, "");
  if (data.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(data)) {
    throw new Failure(400, "Invalid base64 image data");
  }
  return Buffer.from(data, "base64");
}
