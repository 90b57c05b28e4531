/** A frame as PNG or JPEG. sharp works in threads of its own, so the event loop goes on. */
import type { Sharp } from "sharp";
import { Semaphore } from "../semaphore.ts";
import { MAX_ENCODINGS, MAX_WAITING_ENCODINGS, PNG_LEVEL } from "../limits.ts";
import type { FrameKind } from "./grim.ts";
import type { Frame } from "./shared-frames.ts";

type SharpModule = typeof import("sharp");

export type PictureFormat = "jpeg" | "png";

const encodings = new Semaphore("screenshots", MAX_ENCODINGS, MAX_WAITING_ENCODINGS);

/** What frames have to be, always the same: the tag of a picture must not depend on who requested it first. */
export async function frameKind(): Promise<FrameKind> {
  return (await loadSharp().catch(() => undefined)) === undefined ? "png" : "ppm";
}

/** @throws Error if the frame is no picture */
export function encode(frame: Frame, format: PictureFormat, quality: number): Promise<Buffer> {
  if (format === frame.kind) return Promise.resolve(frame.bytes);
  const key = format === "jpeg" ? `jpeg${quality}` : format;
  let encoded = frame.encoded.get(key);
  if (encoded === undefined) {
    encoded = encodings.run(() => convert(frame, format, quality));
    frame.encoded.set(key, encoded);
  }
  return encoded;
}

async function convert(frame: Frame, format: PictureFormat, quality: number): Promise<Buffer> {
  const { default: sharp } = await loadSharp();
  const image = frame.kind === "ppm" ? fromPpm(sharp, frame.bytes) : sharp(frame.bytes);
  return format === "jpeg"
    ? image.jpeg({ quality }).toBuffer()
    : image.png({ compressionLevel: PNG_LEVEL }).toBuffer();
}

let loading: Promise<SharpModule> | undefined;
/** It takes 100 ms, and everything but JPEG works without it. A failure is remembered as well. */
function loadSharp(): Promise<SharpModule> {
  return (loading ??= import("sharp"));
}

/** grim writes `P6`, width, height and 255 as text, then three bytes a pixel. sharp has no reader for PPM. */
function fromPpm(sharp: SharpModule["default"], ppm: Buffer): Sharp {
  const header = /^P6\s+(\d+)\s+(\d+)\s+255\s/.exec(ppm.toString("latin1", 0, 64));
  if (header === null) throw new Error("grim: the output is not a PPM image");
  const [text, width, height] = header;
  const raw = { width: Number(width), height: Number(height), channels: 3 as const };
  return sharp(ppm.subarray(text.length), { raw });
}
