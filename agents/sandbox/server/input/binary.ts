/**
 * Helix's binary input messages: a type, then fields. Integers are big-endian and floats little-endian, which is how
 * Helix's browser code writes them.
 *
 *     01 keyboard  00 isDown modifiers code:u16            a key by its evdev code
 *                  02 isDown modifiers keysym:u32          a key by its X11 keysym
 *                  03 modifiers keysym:u32                 pressed and released
 *     02 button    02 isDown button                        1 left, 2 middle, 3 right, 4 back, 5 forward
 *                  03 dx:f32 dy:f32   04 dx:i8 dy:i8       wheel, fine and coarse
 *     03 absolute  01 x:i16 y:i16 width:i16 height:i16     within a picture of that size
 *     04 relative  00 dx:i16 dy:i16
 *     05 scroll    mode flags dx:f32 dy:f32                as a browser's WheelEvent; flag 1 is a trackpad
 *     06 touch     phase slot x:f32 y:f32                  0 down, 1 motion, 2 up; 0..1 of width and height
 */
import type { InputEvent } from "./events.ts";

/** Undefined for what is unknown, too short or without meaning; Helix's server ignores those as well. */
export function parseInputMessage(message: Buffer): InputEvent | undefined {
  try {
    return parse(message);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // read beyond the end
    throw error;
  }
}

function parse(message: Buffer): InputEvent | undefined {
  switch (message.readUInt8(0)) {
    case 0x01:
      return parseKeyboard(message);
    case 0x02:
      return parseButton(message);
    case 0x03:
      return parseAbsolute(message);
    case 0x04:
      return { kind: "moveBy", dx: message.readInt16BE(2), dy: message.readInt16BE(4) };
    case 0x05:
      return parseScroll(message);
    case 0x06:
      return parseTouch(message);
    default:
      return undefined;
  }
}

function parseKeyboard(message: Buffer): InputEvent | undefined {
  switch (message.readUInt8(1)) {
    case 0: {
      const code = message.readUInt16BE(4);
      return code === 0 ? undefined : { kind: "key", code, isDown: message.readUInt8(2) !== 0 };
    }
    case 2: {
      const keysym = message.readUInt32BE(4);
      return keysym === 0 ? undefined : { kind: "keysym", keysym, isDown: message.readUInt8(2) !== 0 };
    }
    case 3: {
      const keysym = message.readUInt32BE(3);
      return keysym === 0 ? undefined : { kind: "tap", keysym, modifiers: message.readUInt8(2) };
    }
    default:
      return undefined;
  }
}

function parseButton(message: Buffer): InputEvent | undefined {
  switch (message.readUInt8(1)) {
    case 2: {
      const code = buttonCode(message.readUInt8(3));
      return code === undefined ? undefined : { kind: "button", code, isDown: message.readUInt8(2) !== 0 };
    }
    case 3:
      return scroll(message.readFloatLE(2), message.readFloatLE(6), true);
    case 4:
      // Notches, in Helix's scale.
      return scroll(message.readInt8(2) * 10, message.readInt8(3) * 10, false);
    default:
      return undefined;
  }
}

/** Linux counts left, right, middle, back, forward from 272. */
function buttonCode(button: number): number | undefined {
  if (button < 1 || button > 12) return undefined;
  if (button === 2) return 0x112;
  if (button === 3) return 0x111;
  return button === 1 ? 0x110 : 0x110 + button - 1;
}

function parseAbsolute(message: Buffer): InputEvent | undefined {
  const area = { width: message.readInt16BE(6), height: message.readInt16BE(8) };
  if (area.width <= 0 || area.height <= 0) return undefined;
  return { kind: "moveTo", x: message.readInt16BE(2), y: message.readInt16BE(4), area };
}

/** What a browser's `deltaMode` counts, in pixels. */
const PIXELS = [
  { x: 1, y: 1 },
  { x: 40, y: 40 },
  { x: 800, y: 600 },
] as const;

function parseScroll(message: Buffer): InputEvent | undefined {
  const { x, y } = PIXELS[message.readUInt8(1)] ?? PIXELS[0];
  const isTrackpad = (message.readUInt8(2) & 1) !== 0;
  return scroll(message.readFloatLE(3) * x, message.readFloatLE(7) * y, isTrackpad);
}

function scroll(dx: number, dy: number, isTrackpad: boolean): InputEvent | undefined {
  return Number.isFinite(dx) && Number.isFinite(dy) ? { kind: "scroll", dx, dy, isTrackpad } : undefined;
}

const PHASES = ["down", "motion", "up"] as const;

function parseTouch(message: Buffer): InputEvent | undefined {
  const phase = PHASES[message.readUInt8(1)];
  const x = message.readFloatLE(3);
  const y = message.readFloatLE(7);
  if (phase === undefined || !Number.isFinite(x) || !Number.isFinite(y)) return undefined;
  return { kind: "touch", phase, slot: message.readUInt8(2), x, y, area: { width: 1, height: 1 } };
}
