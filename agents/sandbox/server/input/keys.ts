/** Keys of a US keyboard: evdev codes to X11 keysyms, plain and with Shift. */

export type Modifier = "shift" | "ctrl" | "alt" | "altgr" | "logo";

interface Key {
  name: string;
  plain: number;
  /** With Shift held; the same as `plain` where Shift changes nothing. */
  shifted: number;
}

const MODIFIER_CODES: Readonly<Record<number, Modifier>> = {
  29: "ctrl",
  97: "ctrl",
  42: "shift",
  54: "shift",
  56: "alt",
  100: "altgr",
  125: "logo",
  126: "logo",
};

const MODIFIER_KEYSYMS: Readonly<Record<number, Modifier>> = {
  0xffe1: "shift",
  0xffe2: "shift",
  0xffe3: "ctrl",
  0xffe4: "ctrl",
  0xffe7: "logo",
  0xffe8: "logo",
  0xffe9: "alt",
  0xffea: "altgr",
  0xfe03: "altgr",
  0xffeb: "logo",
  0xffec: "logo",
};

/** The order of the bits in a tap's modifiers. */
export const TAP_MODIFIERS: readonly Modifier[] = ["shift", "ctrl", "alt", "logo"];

/** Keysym that a modifier pressed alone stands for. */
export const MODIFIER_TAPS: Readonly<Record<Modifier, number>> = {
  shift: 0xffe1,
  ctrl: 0xffe3,
  alt: 0xffe9,
  altgr: 0xfe03,
  logo: 0xffeb,
};

export const CAPS_LOCK = 0xffe5;

/** Rows of printable keys: the code of the first, then the characters without and with Shift. */
const ROWS: readonly (readonly [number, string, string])[] = [
  [2, "1234567890-=", "!@#$%^&*()_+"],
  [16, "qwertyuiop[]", "QWERTYUIOP{}"],
  [30, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [43, "\\zxcvbnm,./", "|ZXCVBNM<>?"],
  [57, " ", " "],
  [86, "<", ">"],
];

const NAMED: Readonly<Record<number, readonly [string, number]>> = {
  1: ["ESC", 0xff1b],
  14: ["BACKSPACE", 0xff08],
  15: ["TAB", 0xff09],
  28: ["ENTER", 0xff0d],
  58: ["CAPSLOCK", CAPS_LOCK],
  69: ["NUMLOCK", 0xff7f],
  70: ["SCROLLLOCK", 0xff14],
  96: ["KPENTER", 0xff8d],
  98: ["KPSLASH", 0xffaf],
  55: ["KPASTERISK", 0xffaa],
  74: ["KPMINUS", 0xffad],
  78: ["KPPLUS", 0xffab],
  83: ["KPDOT", 0xffae],
  99: ["SYSRQ", 0xff61],
  102: ["HOME", 0xff50],
  103: ["UP", 0xff52],
  104: ["PAGEUP", 0xff55],
  105: ["LEFT", 0xff51],
  106: ["RIGHT", 0xff53],
  107: ["END", 0xff57],
  108: ["DOWN", 0xff54],
  109: ["PAGEDOWN", 0xff56],
  110: ["INSERT", 0xff63],
  111: ["DELETE", 0xffff],
  119: ["PAUSE", 0xff13],
  127: ["MENU", 0xff67],
};

/** Digits 0 to 9 of the number pad. */
const KEYPAD = [82, 79, 80, 81, 75, 76, 77, 71, 72, 73] as const;

const KEYS: ReadonlyMap<number, Key> = table();

function table(): Map<number, Key> {
  const keys = new Map<number, Key>();
  for (const [first, plain, shifted] of ROWS) {
    for (let i = 0; i < plain.length; i += 1) {
      keys.set(first + i, {
        name: plain.charAt(i) === " " ? "SPACE" : plain.charAt(i).toUpperCase(),
        plain: plain.charCodeAt(i),
        shifted: shifted.charCodeAt(i),
      });
    }
  }
  const add = (code: number, name: string, keysym: number): void => {
    keys.set(code, { name, plain: keysym, shifted: keysym });
  };
  for (const [code, [name, keysym]] of Object.entries(NAMED)) add(Number(code), name, keysym);
  for (const [digit, code] of KEYPAD.entries()) add(code, `KP${digit}`, 0xffb0 + digit);
  for (let f = 1; f <= 10; f += 1) add(58 + f, `F${f}`, 0xffbd + f);
  add(87, "F11", 0xffc8);
  add(88, "F12", 0xffc9);
  // Shift and Tab is a keysym of its own.
  keys.set(15, { name: "TAB", plain: 0xff09, shifted: 0xfe20 });
  return keys;
}

export function modifierOfCode(code: number): Modifier | undefined {
  return MODIFIER_CODES[code];
}

export function modifierOfKeysym(keysym: number): Modifier | undefined {
  return MODIFIER_KEYSYMS[keysym];
}

/** Undefined for a key that a US keyboard does not have. */
export function keyOfCode(code: number): Key | undefined {
  return KEYS.get(code);
}

export function isLetter(keysym: number): boolean {
  return (keysym >= 0x61 && keysym <= 0x7a) || (keysym >= 0x41 && keysym <= 0x5a);
}

/** One that types a character: Latin-1, or Unicode with X11's prefix. */
export function isPrintable(keysym: number): boolean {
  return (keysym >= 0x20 && keysym <= 0xff) || (keysym >= 0x01000100 && keysym <= 0x0110ffff);
}
