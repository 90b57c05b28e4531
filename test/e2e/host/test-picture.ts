/** A moving picture for a stream that is no sandbox's: one colour, with a bar that goes through it. */
import type { Picture } from "./vp8.ts";

export const TEST_COLOUR = { red: 0x20, green: 0x60, blue: 0xb0 };

const WIDTH = 640;
const HEIGHT = 360;
const BAR_WIDTH = 16;
/** The bar's way, in the right half. */
const FROM = WIDTH / 2;

let turn = 0;

export function testPicture(): Picture {
  turn = (turn + 1) % ((WIDTH - FROM) / BAR_WIDTH);
  const bar = FROM + turn * BAR_WIDTH;
  const { red, green, blue } = TEST_COLOUR;
  const row = Buffer.alloc(WIDTH * 3, Buffer.of(red, green, blue));
  row.fill(0xff, bar * 3, (bar + BAR_WIDTH) * 3);
  return { width: WIDTH, height: HEIGHT, rgb: Buffer.concat(Array<Buffer>(HEIGHT).fill(row)) };
}
