/** PNG files of one colour, for icons and for the display that is only a picture. */
import { crc32, deflateSync } from "node:zlib";

export interface Rgb {
  red: number;
  green: number;
  blue: number;
}

/** Background of both demo displays, by which a test recognizes their screenshots. */
export const DEMO_COLOUR: Readonly<Rgb> = { red: 0x20, green: 0x40, blue: 0x60 };

/** "\x89PNG\r\n\x1a\n" (PNG specification, 5.2). */
const SIGNATURE: Buffer = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const BYTES_PER_PIXEL = 3;

export function solidPng(width: number, height: number, colour: Readonly<Rgb>): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // 8 bits a channel, colour type 2 (RGB), deflate, the five standard filters, not interlaced.
  header.set([8, 2, 0, 0, 0], 8);
  // Each row starts with its filter; 0 is "none".
  const row = Buffer.alloc(1 + width * BYTES_PER_PIXEL);
  for (let x = 0; x < width; x++) row.set([colour.red, colour.green, colour.blue], 1 + x * BYTES_PER_PIXEL);
  const rows = Buffer.alloc(row.length * height, row);
  return Buffer.concat([
    SIGNATURE,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows)),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** True if the bytes begin as a PNG file does. */
export function isPng(bytes: Buffer): boolean {
  return bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(4 + body.length + 4);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  // The checksum covers the type and the data, not the length.
  framed.writeUInt32BE(crc32(body), 4 + body.length);
  return framed;
}
