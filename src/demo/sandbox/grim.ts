/** Takes a screenshot of the Wayland display in a runtime folder, as Helix's server does. */
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { DisplayError, NO_DISPLAY } from "./display.ts";
import { CAPTURE_TIMEOUT_MS, MAX_SCREENSHOT_BYTES } from "./limits.ts";

export interface RuntimeFolder {
  /** `XDG_RUNTIME_DIR`: where the sockets are. */
  path: string;
  /** Owner of the display; only root can act as another user. */
  user: { uid?: number; gid?: number };
}

/** Names of the sockets, `wayland-1` and the like, without their lock files. */
export async function waylandSockets(folder: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    throw new DisplayError("Failed to find Wayland sockets", { cause: error });
  }
  return names.filter((name) => /^wayland-\d+$/.test(name)).sort();
}

/** The screenshot of the first socket that yields one. */
export async function captureWithGrim(folder: RuntimeFolder): Promise<Buffer> {
  const sockets = await waylandSockets(folder.path);
  let last = new DisplayError(NO_DISPLAY);
  for (const socket of sockets) {
    try {
      return await grim(folder, socket);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      last = new DisplayError(`Failed to capture screenshot: ${reason}`, { cause: error });
    }
  }
  throw last;
}

function grim({ path, user }: RuntimeFolder, socket: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = {
      ...user,
      env: { PATH: process.env["PATH"], XDG_RUNTIME_DIR: path, WAYLAND_DISPLAY: socket },
      encoding: "buffer" as const,
      timeout: CAPTURE_TIMEOUT_MS,
      killSignal: "SIGKILL" as const,
      maxBuffer: MAX_SCREENSHOT_BYTES,
    };
    execFile("grim", ["-"], options, (error, png, stderr) => {
      if (error === null) resolve(png);
      // The error's message only repeats the command; grim's own output has the reason.
      else
        reject(new Error(stderr.toString("utf8").trim() || `grim ended with ${error.signal ?? error.code}`));
    });
  });
}
