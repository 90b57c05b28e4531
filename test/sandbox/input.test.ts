/** Input that reaches a program on a real desktop: a terminal that reports keys and mouse. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parseInputMessage } from "../../agents/sandbox/server/input/binary.ts";
import { fileWith, skipWithoutDesktop, startDesktop, until } from "./desktop.ts";
import type { Desktop } from "./desktop.ts";
import { startServer } from "./server.ts";
import type { TestServer } from "./server.ts";

const skip = skipWithoutDesktop;

/** A terminal whose program writes what it reads to the file `typed`; it asks for reports of the mouse. */
async function openTerminal(desktop: Desktop): Promise<string> {
  const { folder } = desktop;
  const script = `stty raw -echo; printf "\\033[?1003h\\033[?1006h"; echo > ${folder}/ready; cat > ${folder}/typed`;
  await desktop.swaymsg(`exec foot -o colors.background=000000 sh -c '${script}'`);
  await fileWith(join(folder, "ready"), () => true);
  // Where the layout has it, within the gaps: until then Sway takes positions on it from the screen's corner, and what
  // arrives while the terminal moves is lost.
  await until("the terminal is in its place", async () => {
    const [outside, inside] = await Promise.all([pixel(desktop, "30,30"), pixel(desktop, "1190,630")]);
    return outside === "204060" && inside === "000000";
  });
  return join(folder, "typed");
}

/** The colour there, in hexadecimal. */
async function pixel(desktop: Desktop, place: string): Promise<string> {
  const picture = await desktop.run("grim", ["-t", "ppm", "-g", `${place} 1x1`, "-"]);
  return picture.subarray(-3).toString("hex");
}

/** Until the terminal reports the pointer: it takes up a new one in its own time. */
async function pointerArrives(server: TestServer, typed: string): Promise<void> {
  await until("the pointer arrives", async () => {
    for (const dx of [20, -20]) await server.post("/input", { type: "mouse_move_rel", dx });
    return (await readFile(typed, "utf8").catch(() => "")).includes("[<35;");
  });
}

/** Until the terminal got a key; it types some `b`. */
async function keyboardArrives(server: TestServer, typed: string): Promise<void> {
  await until("the keyboard arrives", async () => {
    await server.post("/input", { type: "key", keycode: KEY_B, state: true });
    return (await readFile(typed, "utf8").catch(() => "")).includes("b");
  });
}

/** SGR reports without their positions: `press 0`, `release 0`, `press 65`. */
function mouse(typed: string): string[] {
  // oxlint-disable-next-line no-control-regex
  const reports = [...typed.matchAll(/\u001B\[<(\d+);\d+;\d+([Mm])/g)];
  return reports
    .filter(([, button]) => (Number(button) & 32) === 0) // 32: moved, with a button or without
    .map(([, button = "", end]) => `${end === "M" ? "press" : "release"} ${button}`);
}

function message(...bytes: number[]): Buffer {
  return Buffer.from(bytes);
}

function withFloats(head: number[], ...floats: number[]): Buffer {
  const body = Buffer.alloc(floats.length * 4);
  for (const [i, float] of floats.entries()) body.writeFloatLE(float, i * 4);
  return Buffer.concat([Buffer.from(head), body]);
}

const KEY_A = 30;
const KEY_B = 48;
const KEY_C = 46;
const SHIFT = 42;
const CTRL = 29;

function key(code: number, isDown: boolean): Buffer {
  return message(0x01, 0, Number(isDown), 0, 0, code);
}

test("keys arrive: codes, modifiers, keysyms, taps, in their order", { skip }, async () => {
  await using desktop = await startDesktop();
  await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
  const typed = await openTerminal(desktop);
  await keyboardArrives(server, typed);
  const { socket } = await server.connect("/ws/input");
  for (const code of [KEY_A, SHIFT, KEY_A]) socket.send(key(code, true));
  for (const code of [KEY_A, SHIFT]) socket.send(key(code, false));
  socket.send(key(CTRL, true));
  socket.send(key(KEY_C, true));
  socket.send(key(KEY_C, false));
  socket.send(key(CTRL, false));
  socket.send(message(0x01, 2, 1, 0, 0x01, 0x00, 0x20, 0xac)); // keysym of the euro sign, down
  socket.send(message(0x01, 2, 0, 0, 0x01, 0x00, 0x20, 0xac));
  socket.send(message(0x01, 3, 0, 0, 0, 0xff, 0x0d)); // tap of Return
  socket.send(message(0x01, 3, 2, 0, 0, 0, 0x64)); // tap of d with Ctrl
  const text = await fileWith(typed, (so) => so.includes("\u0004"));
  assert.equal(text.replace(/^b+/, ""), "aA\u0003€\r\u0004");
});

test("the pointer arrives: absolute and relative, buttons, wheel, first finger", { skip }, async () => {
  await using desktop = await startDesktop();
  await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
  const typed = await openTerminal(desktop);
  const { socket } = await server.connect("/ws/input");
  await pointerArrives(server, typed);
  // The middle of a picture of 1000 x 500, whatever the screen has.
  socket.send(message(0x03, 1, 0x01, 0xf4, 0x00, 0xfa, 0x03, 0xe8, 0x01, 0xf4));
  // Each is waited for: a busy terminal may merge what comes at once.
  const seen = (report: string) => fileWith(typed, (so) => mouse(so).includes(report));
  socket.send(message(0x02, 2, 1, 1));
  socket.send(message(0x02, 2, 0, 1));
  await seen("release 0");
  socket.send(message(0x04, 0, 0, 100, 0, 0));
  socket.send(message(0x02, 2, 1, 3));
  socket.send(message(0x02, 2, 0, 3));
  await seen("release 2");
  socket.send(withFloats([0x05, 0, 0], 0, -100)); // a notch up
  await seen("press 64");
  socket.send(withFloats([0x05, 0, 1], 0, 300)); // fingers on a trackpad, down
  await seen("press 65");
  socket.send(withFloats([0x06, 0, 0], 0.25, 0.5));
  socket.send(withFloats([0x06, 2, 0], 0.25, 0.5));
  const text = await fileWith(
    typed,
    (so) => mouse(so).filter((report) => report === "release 0").length === 2,
  );
  const reports = mouse(text);
  assert.deepEqual(reports.slice(0, 4), ["press 0", "release 0", "press 2", "release 2"]);
  assert.deepEqual(reports.slice(-2), ["press 0", "release 0"]);
  const wheel = reports.slice(4, -2);
  assert.match(wheel.join(", "), /^(?:press 64, )+(?:press 65(?:, |$))+$/);
  // Where: the second click is 100 pixels to the right of the first, the finger on the left.
  // oxlint-disable-next-line no-control-regex
  const columns = [...text.matchAll(/\u001B\[<[02];(\d+);\d+M/g)].map(([, column]) => Number(column));
  const [first = 0, second = 0, finger = 0] = columns;
  assert.ok(finger < first && first < second, columns.join(" "));
});

test("a click does not overtake what was typed before it", { skip }, async () => {
  await using desktop = await startDesktop();
  await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
  const typed = await openTerminal(desktop);
  await pointerArrives(server, typed);
  const events = [
    { type: "mouse_move_abs", x: 640, y: 360 },
    { type: "key", keycode: KEY_A, state: true },
    { type: "button", button: 0x110, state: true },
    { type: "button", button: 0x110, state: false },
    { type: "key", keycode: KEY_C, state: true },
  ];
  const response = await server.post("/input", { events });
  assert.deepEqual(await response.json(), { success: true, processed: 5 });
  const text = await fileWith(typed, (so) => so.endsWith("c"));
  // oxlint-disable-next-line no-control-regex
  assert.match(text, /a\u001B\[<0;\d+;\d+M\u001B\[<0;\d+;\d+mc$/);
});

test("keys and buttons are released when their sender disconnects", { skip }, async () => {
  await using desktop = await startDesktop();
  await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
  const typed = await openTerminal(desktop);
  await pointerArrives(server, typed);
  const { socket } = await server.connect("/ws/input");
  socket.send(message(0x03, 1, 0x01, 0xf4, 0x00, 0xfa, 0x03, 0xe8, 0x01, 0xf4));
  socket.send(message(0x02, 2, 1, 1));
  socket.send(key(SHIFT, true));
  await fileWith(typed, (text) => mouse(text).includes("press 0"));
  socket.terminate();
  await fileWith(typed, (text) => mouse(text).includes("release 0"));
  const state = await server.request("/keyboard-state");
  const { pressed_keys, modifier_state } = (await state.json()) as Record<string, unknown>;
  assert.deepEqual(pressed_keys, []);
  assert.deepEqual(modifier_state, { shift: false, ctrl: false, alt: false, meta: false });
});

test("the keyboard ends with the display", { skip }, async () => {
  const desktop = await startDesktop();
  await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
  await server.post("/input", { type: "key", keycode: KEY_A, state: true });
  assert.equal((await desktop.processes("wtype")).length, 1);
  await desktop[Symbol.asyncDispose]();
  await until("it has ended", async () => (await desktop.processes("wtype")).length === 0);
});

test("the keyboard's state can be seen and reset", { skip }, async () => {
  await using desktop = await startDesktop();
  await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
  await server.post("/input", { events: [{ type: "key", keycode: CTRL, state: true }] });
  const state = (await (await server.request("/keyboard-state")).json()) as Record<string, unknown>;
  assert.deepEqual(state["pressed_keys"], [CTRL]);
  assert.deepEqual(state["key_names"], ["CTRL"]);
  assert.deepEqual(state["modifier_state"], { shift: false, ctrl: true, alt: false, meta: false });
  const reset = await server.request("/keyboard-reset", { method: "POST" });
  assert.deepEqual(await reset.json(), {
    success: true,
    released_keys: ["CTRL"],
    message: "Released 1 stuck keys",
  });
  const after = (await (await server.request("/keyboard-state")).json()) as Record<string, unknown>;
  assert.deepEqual(after["pressed_keys"], []);
});

test("returns how many events it has applied, and refuses invalid ones", { skip }, async () => {
  await using desktop = await startDesktop();
  await using server = await startServer({ runtimeFolder: desktop.runtimeFolder });
  const some = await server.post("/input", {
    events: [
      { type: "mouse_move_rel", dx: 5, dy: 5 },
      { type: "touch_down", slot: 3, x: 1, y: 1 },
      { type: "dance" },
    ],
  });
  assert.deepEqual(await some.json(), {
    success: true,
    processed: 1,
    message: "2 of 3 events not supported",
  });
  const single = await server.post("/input", { type: "mouse_move_rel", dx: 5, dy: 5 });
  assert.deepEqual(await single.json(), { success: true, processed: 1 });
  const untyped = await server.post("/input", {});
  assert.deepEqual(await untyped.json(), {
    success: true,
    processed: 0,
    message: "1 of 1 events not supported",
  });
  assert.equal((await server.post("/input", "{")).status, 400);
  assert.equal((await server.post("/input", { events: [{ type: 5 }] })).status, 400);
  assert.equal((await server.request("/input")).status, 405);
  const health = await server.request("/health", { headers: { accept: "application/json" } });
  const { input } = (await health.json()) as { input: { counts: unknown } };
  assert.deepEqual(input.counts, { applied: 2, unsupported: 1, failed: 0, malformed: 0 });
});

test("without a display input is not available", async () => {
  await using server = await startServer({ runtimeFolder: "/nonexistent" });
  const response = await server.post("/input", { type: "mouse_move_rel", dx: 1, dy: 1 });
  assert.deepEqual([response.status, await response.text()], [503, "Input not available\n"]);
});

test("invalid messages are ignored without an error", () => {
  assert.equal(parseInputMessage(Buffer.alloc(0)), undefined);
  assert.equal(parseInputMessage(message(0x03, 1, 0, 1, 0, 1, 0, 0, 0, 0)), undefined); // no area
  assert.equal(parseInputMessage(message(0x02, 2, 1, 99)), undefined); // no button
  assert.equal(parseInputMessage(withFloats([0x05, 0, 0], Number.NaN, 1)), undefined);
  assert.equal(parseInputMessage(withFloats([0x06, 0, 0], Number.POSITIVE_INFINITY, 1)), undefined);
  assert.deepEqual(parseInputMessage(withFloats([0x05, 1, 1], 1, -3)), {
    kind: "scroll",
    dx: 40,
    dy: -120,
    isTrackpad: true,
  });
  assert.deepEqual(parseInputMessage(message(0x04, 0, 0xff, 0xff, 0, 2)), { kind: "moveBy", dx: -1, dy: 2 });
  for (let type = 0; type < 256; type += 1) {
    for (let length = 0; length < 12; length += 1) {
      parseInputMessage(Buffer.concat([message(type), Buffer.alloc(length, length)]));
    }
  }
});
