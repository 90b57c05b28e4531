/** What a viewer does, in one form for `/ws/input` and `POST /input`. */

export type InputEvent =
  /** A key by its place: Linux's input event code (evdev). */
  | { kind: "key"; code: number; isDown: boolean }
  /** A key by what it means: X11 keysym. */
  | { kind: "keysym"; keysym: number; isDown: boolean }
  /** Pressed and released with modifiers, as virtual keyboards report. */
  | { kind: "tap"; keysym: number; modifiers: number }
  /** Linux's button code: 272 is the left one. */
  | { kind: "button"; code: number; isDown: boolean }
  /** Within an area of any size that stands for the whole screen; without an area, in pixels of the screen. */
  | { kind: "moveTo"; x: number; y: number; area?: Area }
  | { kind: "moveBy"; dx: number; dy: number }
  /** In a browser's pixels: positive is right and down, a notch of a wheel about 100. */
  | { kind: "scroll"; dx: number; dy: number; isTrackpad: boolean }
  | { kind: "touch"; phase: "down" | "motion" | "up"; slot: number; x: number; y: number; area?: Area };

export interface Area {
  width: number;
  height: number;
}

export type KeyEvent = Extract<InputEvent, { kind: "key" | "keysym" | "tap" }>;
export type PointerEvent = Exclude<InputEvent, KeyEvent>;

export function isKeyEvent(event: InputEvent): event is KeyEvent {
  return event.kind === "key" || event.kind === "keysym" || event.kind === "tap";
}

export const LEFT_BUTTON = 0x110;
