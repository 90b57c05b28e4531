/** Examines screenshots. */
import sharp from "sharp";

export interface Rgb {
  red: number;
  green: number;
  blue: number;
}

export interface Screen {
  width: number;
  height: number;
  /** @param x @param y shares of the width and height */
  at(x: number, y: number): Rgb;
  /** Share of the left half's pixels that have exactly this colour. */
  leftHalf(colour: Rgb): number;
  /** How many colours there are in the right half. */
  coloursRight(): number;
}

export async function look(png: Buffer): Promise<Screen> {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const pixel = (column: number, row: number): Rgb => {
    const at = (row * width + column) * 3;
    return { red: data[at] ?? -1, green: data[at + 1] ?? -1, blue: data[at + 2] ?? -1 };
  };
  return {
    width,
    height,
    at: (x, y) => pixel(Math.floor(x * width), Math.floor(y * height)),
    leftHalf: (colour) => {
      let same = 0;
      for (let row = 0; row < height; row += 1) {
        for (let column = 0; column < width / 2; column += 1)
          same += Number(isNear(pixel(column, row), colour));
      }
      return same / (height * (width / 2));
    },
    coloursRight: () => {
      const colours = new Set<string>();
      for (let row = 0; row < height; row += 1) {
        for (let column = width / 2; column < width; column += 1) {
          colours.add(JSON.stringify(pixel(column, row)));
        }
      }
      return colours.size;
    },
  };
}

/** @param most that each of red, green and blue may be off: video loses some */
export function isNear(one: Rgb, other: Rgb, maxDifference = 0): boolean {
  return (["red", "green", "blue"] as const).every(
    (name) => Math.abs(one[name] - other[name]) <= maxDifference,
  );
}
