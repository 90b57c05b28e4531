/** Reads one pixel of a PNG, so that a test can tell whether a screenshot shows the demo. */
import { inflateSync } from "node:zlib";
import { isPng } from "./png.ts";
import type { Rgb } from "./png.ts";

/** A decoded 4K screen with alpha is 33 MB; more is not one of our screenshots. */
const MAX_DECODED_BYTES: number = 64 * 1024 * 1024;

/**
 * The top left pixel of an 8-bit RGB or RGBA file. It is stored unfiltered under every filter of the first row, because
 * all filters predict from neighbours and it has none.
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
