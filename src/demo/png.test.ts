import assert from "node:assert/strict";
import { test } from "node:test";
import { firstPixel } from "./png-pixel.ts";
import { isPng, solidPng } from "./png.ts";

test("a picture has the requested size and colour", () => {
  const colour = { red: 1, green: 128, blue: 255 };
  const png = solidPng(17, 3, colour);
  assert.ok(isPng(png));
  assert.equal(png.readUInt32BE(16), 17);
  assert.equal(png.readUInt32BE(20), 3);
  assert.deepEqual(firstPixel(png), colour);
});

test("what is not a PNG has no first pixel", () => {
  assert.throws(() => firstPixel(Buffer.from("GIF89a, and some more bytes")), /not a PNG/);
});
