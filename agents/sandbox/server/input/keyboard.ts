/**
 * Keys, by wtype, which brings a virtual keyboard of its own with each run.
 *
 * A process cannot hand a keymap to the compositor without passing a file descriptor, which Node cannot, so the
 * keyboard is wtype's. Its keys are released when it ends, so a key that goes down is typed: pressed and released.
 * A browser repeats a held key, so that works; what needs to know for how long a key is held (a game)
 * does not. Modifiers are remembered here and applied to the keys typed meanwhile, but not to the pointer.
 *
 * One wtype stays for as long as the display does, asleep; it would not notice the display's end, so a connection of
 * ours does. Without it the seat loses its keyboard between two runs, and
 * applications that are not yet aware of the new one miss the first key.
 */
import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { Display } from "../desktop/display.ts";
import { FIRST_INPUT_DELAY_MS, KEYS_TIMEOUT_MS, MAX_COMPLAINT_BYTES } from "../limits.ts";
import type { Programs } from "../desktop/programs.ts";
import type { KeyEvent } from "./events.ts";
import {
  CAPS_LOCK,
  isLetter,
  isPrintable,
  keyOfCode,
  MODIFIER_TAPS,
  modifierOfCode,
  modifierOfKeysym,
  TAP_MODIFIERS,
} from "./keys.ts";
import type { Modifier } from "./keys.ts";
import { WaylandConnection } from "./wayland.ts";

/** 24 days, the most that wtype can wait. */
const FOR_EVER_MS = 2_147_483_647;

interface Presence {
  child: ChildProcess;
  connection: WaylandConnection;
  socket: string;
}

export interface KeyboardState {
  /** evdev codes. */
  pressed: number[];
  names: string[];
  modifiers: ReadonlySet<Modifier>;
}

export class Keyboard {
  readonly #programs: Programs;
  readonly #display: Display;
  readonly #modifiers = new Set<Modifier>();
  readonly #pressed = new Set<number>();
  /** A modifier that went down and has not been used yet. */
  #alone: Modifier | undefined;
  #capsLock = false;
  #presence: Presence | undefined;

  constructor(programs: Programs, display: Display) {
    this.#programs = programs;
    this.#display = display;
  }

  get state(): KeyboardState {
    const pressed = [...this.#pressed];
    return { pressed, names: pressed.map(nameOf), modifiers: this.#modifiers };
  }

  /** Names of the keys that were held. */
  reset(): string[] {
    const { names } = this.state;
    this.#pressed.clear();
    this.#modifiers.clear();
    this.#alone = undefined;
    this.#capsLock = false;
    return names;
  }

  /** Types what the events mean, in their order. @throws when wtype fails */
  async type(events: readonly KeyEvent[]): Promise<void> {
    const args = events.flatMap((event) => this.#toArgs(event));
    if (args.length > 0) await this.#display.tryEach((socket) => this.#run(socket, args));
  }

  async close(): Promise<void> {
    if (this.#presence !== undefined) await this.#end(this.#presence);
  }

  async #run(socket: string, args: readonly string[]): Promise<void> {
    const pauseMs = (await this.#bePresent(socket)) ? 0 : FIRST_INPUT_DELAY_MS;
    await this.#programs.run("wtype", pauseMs > 0 ? ["-s", String(pauseMs), ...args] : args, {
      env: this.#display.environment(socket),
      timeoutMs: KEYS_TIMEOUT_MS,
      maxOutputBytes: MAX_COMPLAINT_BYTES,
    });
  }

  /** Whether the seat had its keyboard already. @throws when there is no such display */
  async #bePresent(socket: string): Promise<boolean> {
    if (this.#presence?.socket === socket) return true;
    if (this.#presence !== undefined) await this.#end(this.#presence);
    const connection = await WaylandConnection.open(join(this.#display.folder, socket));
    const child = this.#programs.startBound("wtype", ["-s", String(FOR_EVER_MS)], {
      env: this.#display.environment(socket),
      stdio: "ignore",
    });
    const presence = { child, connection, socket };
    this.#presence = presence;
    void connection.ended.then(() => this.#end(presence));
    const gone = (): void => void this.#end(presence);
    child.once("error", gone);
    child.once("exit", gone);
    return false;
  }

  async #end(presence: Presence): Promise<void> {
    if (this.#presence === presence) this.#presence = undefined;
    presence.connection.close();
    await this.#programs.stop(presence.child);
  }

  #toArgs(event: KeyEvent): string[] {
    switch (event.kind) {
      case "key":
        return this.#keyArgs(event.code, event.isDown);
      case "keysym": {
        const modifier = modifierOfKeysym(event.keysym);
        if (modifier !== undefined) return this.#modifierArgs(modifier, event.isDown);
        return event.isDown ? this.#tapArgs(event.keysym, this.#use()) : [];
      }
      case "tap": {
        const modifiers = TAP_MODIFIERS.filter((_, bit) => (event.modifiers & (1 << bit)) !== 0);
        return this.#tapArgs(event.keysym, new Set(modifiers));
      }
    }
  }

  #keyArgs(code: number, isDown: boolean): string[] {
    const modifier = modifierOfCode(code);
    const key = keyOfCode(code);
    if (modifier === undefined && key === undefined) return [];
    if (isDown) this.#pressed.add(code);
    else this.#pressed.delete(code);
    if (modifier !== undefined) return this.#modifierArgs(modifier, isDown);
    if (key === undefined || !isDown) return [];
    if (key.plain === CAPS_LOCK) {
      this.#capsLock = !this.#capsLock;
      return [];
    }
    const modifiers = this.#use();
    const isShifted = modifiers.has("shift") !== (this.#capsLock && isLetter(key.plain));
    return this.#tapArgs(isShifted ? key.shifted : key.plain, modifiers);
  }

  #modifierArgs(modifier: Modifier, isDown: boolean): string[] {
    if (isDown) {
      this.#modifiers.add(modifier);
      this.#alone = modifier;
      return [];
    }
    this.#modifiers.delete(modifier);
    const isTap = this.#alone === modifier;
    this.#alone = undefined;
    return isTap ? ["-k", hex(MODIFIER_TAPS[modifier])] : [];
  }

  /** The held modifiers, for a key that is typed with them. */
  #use(): ReadonlySet<Modifier> {
    this.#alone = undefined;
    return this.#modifiers;
  }

  #tapArgs(keysym: number, modifiers: ReadonlySet<Modifier>): string[] {
    // An upper-case letter needs no Shift with it: wtype's keymap has a key for every keysym. In a shortcut it counts.
    const others = [...modifiers].filter((modifier) => modifier !== "shift" && modifier !== "altgr");
    const held = isPrintable(keysym) && others.length === 0 ? [] : [...modifiers];
    return [
      ...held.flatMap((name) => ["-M", name]),
      "-k",
      hex(keysym),
      ...held.flatMap((name) => ["-m", name]),
    ];
  }
}

/** By number, because wtype takes names without regard to case: `A` would be `a`. */
function hex(keysym: number): string {
  return `0x${keysym.toString(16)}`;
}

function nameOf(code: number): string {
  return modifierOfCode(code)?.toUpperCase() ?? keyOfCode(code)?.name ?? `KEY_${code}`;
}
