/** Reads one pixel back out of a PNG: what a test needs to know that a screenshot shows the demo. */
import { inflateSync } from "node:zlib";
import { isPng } from "./png.ts";
import type { Rgb } from "./png.ts";

/** A decoded 4K screen with alpha is 33 MB; more is not a screenshot of ours. */
const MAX_DECODED_BYTES: number = 64 * 1024 * 1024;

/**
 * The top left pixel of an 8-bit RGB or RGBA file. Whatever the filter of the first row, its first pixel is
 * stored as it is, because every filter predicts from neighbours and there are none.
 */
export function firstPixel(png: Buffer): Rgb {
  if (!isPng(png)) throw new Error("not a PNG file");
  const data: Buffer[] = [];
  for (let at = 8; at + 8 <= png.length; at += 12 + png.readUInt32BE(at)) {
    const length = png.readUInt32BE(at);
    if (png.toString("latin1", at + 4, at + 8) === "IDAT") data.push(png.subarray(at + 8, at + 8 + length));
  }
  const rows = inflateSync(Buffer.concat(data), { maxOutputLength: MAX_DECODED_BYTES });
  return { red: rows.readUInt8(1), green: rows.readUInt8(2), blue: rows.readUInt8(3) };
}
