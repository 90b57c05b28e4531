/**
 * The pointer, by wlroots' virtual pointer protocol: a device of ours for as long as the connection lasts.
 *
 * wlroots has no virtual touch screen. The first finger is the left button; other fingers are not supported.
 */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Display } from "../desktop/display.ts";
import { FIRST_INPUT_DELAY_MS } from "../limits.ts";
import { LEFT_BUTTON } from "./events.ts";
import type { Area, PointerEvent } from "./events.ts";
import { padded, readInt, readWord, WaylandConnection } from "./wayland.ts";

const MANAGER = "zwlr_virtual_pointer_manager_v1";
const CREATE_POINTER = 0;
const MOTION = 0;
const MOTION_ABSOLUTE = 1;
const BUTTON = 2;
const AXIS = 3;
const FRAME = 4;
const AXIS_SOURCE = 5;
const AXIS_DISCRETE = 7;
const VERTICAL = 0;
const HORIZONTAL = 1;
const SOURCE_WHEEL = 0;
const SOURCE_FINGER = 1;

/** A browser's pixels for a notch of a wheel, and Wayland's units for it (degrees). */
const PIXELS_PER_NOTCH = 100;
const UNITS_PER_NOTCH = 15;

/** Resolution of positions within an area, whatever its own is. */
const EXTENT = 65_535;

interface Device {
  connection: WaylandConnection;
  pointer: number;
  /** Pixels of all outputs together, for positions without an area. */
  screen: Area;
}

export class Pointer {
  readonly #display: Display;
  #device: Device | undefined;
  #connecting: Promise<Device> | undefined;
  #isClosed = false;
  #notches = { [VERTICAL]: 0, [HORIZONTAL]: 0 };

  constructor(display: Display) {
    this.#display = display;
  }

  get isConnected(): boolean {
    return this.#device?.connection.isOpen ?? false;
  }

  /** Whether the event is one that we can express. @throws when there is no display, or one without such pointers */
  async apply(event: PointerEvent): Promise<boolean> {
    const device = await this.#connected();
    const { connection, pointer } = device;
    const time = Math.trunc(performance.now()) >>> 0;
    switch (event.kind) {
      case "moveTo":
        this.#moveTo(device, time, event);
        break;
      case "moveBy":
        connection.send(pointer, MOTION, [time, { fixed: event.dx }, { fixed: event.dy }]);
        break;
      case "button":
        connection.send(pointer, BUTTON, [time, event.code, event.isDown ? 1 : 0]);
        break;
      case "scroll":
        this.#scroll(device, time, event);
        break;
      case "touch":
        if (event.slot !== 0) return false;
        if (event.phase !== "up") this.#moveTo(device, time, event);
        if (event.phase !== "motion") {
          connection.send(pointer, FRAME, []);
          connection.send(pointer, BUTTON, [time, LEFT_BUTTON, event.phase === "down" ? 1 : 0]);
        }
        break;
    }
    connection.send(pointer, FRAME, []);
    return true;
  }

  /** What was sent has reached the applications' side of the compositor. */
  async settle(): Promise<void> {
    if (this.#device?.connection.isOpen === true) await this.#device.connection.roundTrip();
  }

  close(): void {
    this.#isClosed = true;
    this.#device?.connection.close();
  }

  /** Makes the device, so that applications know it when its first event comes. @throws as {@link apply} */
  async prepare(): Promise<void> {
    await this.#connected();
  }

  async #connected(): Promise<Device> {
    if (this.#connecting === undefined && this.#device?.connection.isOpen === true) return this.#device;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<Device> {
    const device = await this.#display.tryEach((socket) => open(join(this.#display.folder, socket)));
    if (this.#isClosed) device.connection.close();
    this.#device = device;
    await delay(FIRST_INPUT_DELAY_MS);
    return device;
  }

  #moveTo(
    { connection, pointer, screen }: Device,
    time: number,
    event: { x: number; y: number; area?: Area },
  ): void {
    const { width, height } = event.area ?? screen;
    const x = Math.round(clamp(event.x / width) * EXTENT);
    const y = Math.round(clamp(event.y / height) * EXTENT);
    connection.send(pointer, MOTION_ABSOLUTE, [time, x, y, EXTENT, EXTENT]);
  }

  #scroll(device: Device, time: number, event: { dx: number; dy: number; isTrackpad: boolean }): void {
    const { connection, pointer } = device;
    connection.send(pointer, AXIS_SOURCE, [event.isTrackpad ? SOURCE_FINGER : SOURCE_WHEEL]);
    for (const [axis, pixels] of [
      [HORIZONTAL, event.dx],
      [VERTICAL, event.dy],
    ] as const) {
      if (pixels === 0) continue;
      const value = { fixed: (pixels / PIXELS_PER_NOTCH) * UNITS_PER_NOTCH };
      const notches = event.isTrackpad ? 0 : this.#wholeNotches(axis, pixels);
      if (notches === 0) connection.send(pointer, AXIS, [time, axis, value]);
      else connection.send(pointer, AXIS_DISCRETE, [time, axis, value, notches]);
    }
  }

  /** A fine wheel comes in parts of a notch; some applications scroll by whole ones only. */
  #wholeNotches(axis: 0 | 1, pixels: number): number {
    const sum = this.#notches[axis] + pixels / PIXELS_PER_NOTCH;
    const whole = Math.trunc(sum);
    this.#notches[axis] = sum - whole;
    return whole;
  }
}

async function open(path: string): Promise<Device> {
  const connection = await WaylandConnection.open(path);
  try {
    const outputs = connection.globals
      .filter((global) => global.interface === "wl_output")
      .map((global) => {
        const output = { right: 0, bottom: 0 };
        const place = { x: 0, y: 0, isTurned: false };
        connection.bindGlobal(global, 1, (opcode, body) => {
          if (opcode === 0) readGeometry(body, place);
          else if (opcode === 1) {
            // The output's current mode; turned by a quarter, width is height.
            const [width, height] = [readInt(body, 4), readInt(body, 8)];
            output.right = place.x + (place.isTurned ? height : width);
            output.bottom = place.y + (place.isTurned ? width : height);
          }
        });
        return output;
      });
    const manager = connection.bind(MANAGER, 1);
    if (manager === undefined) throw new Error("the compositor has no virtual pointers");
    const pointer = connection.create();
    // Seat 0 is no seat: the compositor's default one.
    connection.send(manager, CREATE_POINTER, [0, pointer]);
    await connection.roundTrip();
    const screen = {
      width: Math.max(1, ...outputs.map((output) => output.right)),
      height: Math.max(1, ...outputs.map((output) => output.bottom)),
    };
    return { connection, pointer, screen };
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** x, y, physical width and height, subpixel, make, model, transform. */
function readGeometry(body: Buffer, place: { x: number; y: number; isTurned: boolean }): void {
  place.x = readInt(body, 0);
  place.y = readInt(body, 4);
  const model = 20 + 4 + padded(readWord(body, 20));
  const transform = model + 4 + padded(readWord(body, model));
  place.isTurned = (readWord(body, transform) & 1) === 1;
}

function clamp(part: number): number {
  return Math.min(1, Math.max(0, part));
}
