/**
 * A real headless Sway for the sandbox server's tests: an ordinary user's, as in the container.
 *
 * The demo's starter brings Sway, a background of #204060 and a terminal; the terminal goes, because it shows the time.
 */
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { watch } from "node:fs";
import { chown, mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { startSway } from "../../src/demo/sandbox/sway.ts";
import { missing } from "../support/parts.ts";
import { within } from "../support/events.ts";

/** What a test needs that uses a {@link Desktop}: names for `missing()`. */
export const skipWithoutDesktop: string | false = missing(
  "sway",
  "swaybg",
  "grim",
  "foot",
  "wl-copy",
  "wtype",
  "setpriv",
);

export const BACKGROUND = { red: 0x20, green: 0x40, blue: 0x60 };

export interface Desktop extends AsyncDisposable {
  /** `XDG_RUNTIME_DIR`. */
  readonly runtimeFolder: string;
  /** A folder that belongs to the desktop's user. */
  readonly folder: string;
  /** Of the desktop's user. */
  readonly uid: number;
  /** Variables for programs on this desktop. */
  readonly env: NodeJS.ProcessEnv;
  /** Runs a Sway command. */
  swaymsg(command: string): Promise<string>;
  /** A program's standard output. */
  run(program: string, args: readonly string[], stdin?: Buffer): Promise<Buffer>;
  /** Ids of the desktop's processes of that name. */
  processes(name: string): Promise<number[]>;
}

export async function startDesktop(): Promise<Desktop> {
  const lines: string[] = [];
  const sway = await startSway((line) => lines.push(line));
  const folder = /in (\S+)$/m.exec(lines.join("\n"))?.[1];
  assert.ok(folder !== undefined, lines.join("\n"));
  const runtimeFolder = join(folder, "xdg");
  const { uid } = await stat(runtimeFolder);
  const names = await readdir(runtimeFolder);
  const ipc = names.find((name) => name.startsWith("sway-ipc."));
  const wayland = names.find((name) => /^wayland-\d+$/.test(name));
  assert.ok(ipc !== undefined && wayland !== undefined);
  const home = join(folder, "home");
  await mkdir(home);
  await chown(home, uid, uid);
  const env = {
    PATH: process.env["PATH"],
    HOME: home,
    XDG_RUNTIME_DIR: runtimeFolder,
    WAYLAND_DISPLAY: wayland,
    SWAYSOCK: join(runtimeFolder, ipc),
  };
  const run = async (program: string, args: readonly string[], stdin?: Buffer): Promise<Buffer> => {
    const child = spawn(program, args, { env, stdio: ["pipe", "pipe", "ignore"] });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stdin.on("error", () => {});
    child.stdin.end(stdin);
    await within(once(child, "exit"), program);
    // wl-copy's process in the background holds the output.
    child.stdout.destroy();
    return Buffer.concat(chunks);
  };
  const swaymsg = async (command: string): Promise<string> => {
    const { stdout } = await promisify(execFile)("swaymsg", [command], { env });
    return stdout;
  };
  const hasTerminal = (): Promise<boolean> =>
    swaymsg("[app_id=foot] kill").then(
      () => true,
      () => false, // no such window
    );
  await until("the demo's terminal is there", hasTerminal);
  await until("the demo's terminal is gone", async () => !(await hasTerminal()));
  return {
    runtimeFolder,
    folder: home,
    uid,
    env,
    swaymsg,
    run,
    processes: (name) => processes(runtimeFolder, name),
    [Symbol.asyncDispose]: async () => {
      // wl-copy keeps what was copied in a file, which it removes when it is replaced and not when the display ends.
      if ((await processes(runtimeFolder, "wl-copy")).length > 0) {
        await run("wl-copy", ["--clear"]);
        await run("wl-copy", ["--clear", "--primary"]);
        await until(
          "nothing is copied",
          async () => (await processes(runtimeFolder, "wl-copy")).length === 0,
        );
      }
      await sway.close();
    },
  };
}

async function processes(runtimeFolder: string, name: string): Promise<number[]> {
  const ids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(
    ids.map(async (id) => {
      try {
        const environment = await readFile(`/proc/${id}/environ`, "utf8");
        const command = (await readFile(`/proc/${id}/comm`, "utf8")).trim();
        return command === name && environment.includes(`XDG_RUNTIME_DIR=${runtimeFolder}\0`);
      } catch {
        return false; // it has ended
      }
    }),
  );
  return ids.filter((_, i) => found[i] === true).map(Number);
}

/** A file's content, as soon as `isComplete`; watched through the file system. */
export async function fileWith(path: string, isComplete: (text: string) => boolean): Promise<string> {
  const folder = path.slice(0, path.lastIndexOf("/"));
  const { promise, resolve } = Promise.withResolvers<string>();
  const look = (): void => {
    readFile(path, "utf8").then(
      (text) => {
        last = text;
        if (isComplete(text)) resolve(text);
      },
      () => {}, // not there yet
    );
  };
  let last = "";
  const watcher = watch(folder, look);
  look();
  try {
    return await within(promise, `what is awaited in ${path}`);
  } catch (error) {
    throw new Error(`${path} has ${JSON.stringify(last)}`, { cause: error });
  } finally {
    watcher.close();
  }
}

/** Tries until it is true, without a pause: each try waits for a real response. */
export async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await isTrue())) assert.ok(performance.now() < deadline, `never: ${what}`);
}
