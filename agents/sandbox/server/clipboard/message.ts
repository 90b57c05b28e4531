/** The clipboard on the wire: `{"type":"text"|"image","data":…}`, an image's data as base64. */
import { z } from "zod";
import { parseJson } from "../body.ts";
import { Failure } from "../errors.ts";
import type { ClipboardContent } from "./selection.ts";

const Message = z.object({ type: z.enum(["text", "image"]), data: z.string() });

/** @throws Failure 400 with Helix's texts */
export function parseClipboard(body: Buffer): ClipboardContent {
  let value: unknown;
  try {
    value = parseJson(body);
  } catch (error) {
    throw new Failure(400, "Invalid clipboard data format", { cause: error });
  }
  const parsed = Message.safeParse(value);
  if (!parsed.success) throw new Failure(400, "Invalid clipboard data format");
  const { type, data } = parsed.data;
  if (type === "text") return { type, bytes: Buffer.from(data, "utf8") };
  return { type, bytes: decodeBase64(data) };
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
