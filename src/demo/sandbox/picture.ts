/** The display where Sway is not installed: a picture of one colour. */
import { DEMO_COLOUR, solidPng } from "../png.ts";
import type { Display } from "./display.ts";

export function pictureDisplay(): Display {
  const png = solidPng(1280, 720, DEMO_COLOUR);
  return { kind: "picture", capture: () => Promise.resolve(png), close: () => Promise.resolve() };
}
