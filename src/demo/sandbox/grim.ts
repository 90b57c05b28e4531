/** Takes a screenshot of whatever Wayland display listens in a runtime folder, as Helix's server does. */
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { DisplayError, NO_DISPLAY } from "./display.ts";
import { CAPTURE_TIMEOUT_MS, MAX_SCREENSHOT_BYTES } from "./limits.ts";

export interface RuntimeFolder {
  /** `XDG_RUNTIME_DIR`: where the sockets are. */
  path: string;
  /** Who owns the display; only root can be somebody else. */
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

/** The first socket that yields a picture wins. */
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
    execFile("grim", ["-"], options, (error, png, complaint) => {
      if (error === null) resolve(png);
      // The message of the error repeats the command; what grim says is what helps.
      else
        reject(new Error(complaint.toString("utf8").trim() || `grim ended by ${error.signal ?? error.code}`));
    });
  });
}
