/**
 * The Wayland displays of a runtime folder.
 *
 * In Helix's sandbox there are two: `wayland-1` is Wolf's, which only captures for the video stream, and `wayland-2`
 * is Sway's, which the tools need. Nothing but trying tells them apart, so each tool tries the one that worked last
 * and then the others.
 */
import { readdir } from "node:fs/promises";
import { Failure } from "../errors.ts";
import type { Environment } from "./programs.ts";

/** Helix's default where `XDG_RUNTIME_DIR` is not set. */
export const DEFAULT_RUNTIME_FOLDER = "/tmp/sockets";

export class Display {
  readonly folder: string;
  #preferred: string | undefined;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** The display that worked last; undefined before that. */
  get preferred(): string | undefined {
    return this.#preferred;
  }

  /** Names of the sockets, the one that worked last first. @throws Failure 500 with Helix's text without any */
  async sockets(): Promise<string[]> {
    let names: string[];
    try {
      names = await readdir(this.folder);
    } catch (error) {
      throw new Failure(500, "Failed to find Wayland sockets", { cause: error });
    }
    const sockets = names.filter((name) => name.startsWith("wayland-") && !name.endsWith(".lock")).sort();
    if (sockets.length === 0) throw new Failure(500, "No Wayland sockets available");
    return sockets.sort((a, b) => Number(b === this.#preferred) - Number(a === this.#preferred));
  }

  /** The first display with which `work` succeeds. @throws Failure without a display, otherwise the last error */
  async tryEach<T>(work: (socket: string) => Promise<T>): Promise<T> {
    let last: unknown;
    for (const socket of await this.sockets()) {
      try {
        const result = await work(socket);
        this.#preferred = socket;
        return result;
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  /** For the desktop's tools: what they need, and none of our own variables, among which are tokens. */
  environment(socket: string): Environment {
    const { PATH, HOME, USER, LANG = "C.UTF-8" } = process.env;
    return { PATH, HOME, USER, LANG, XDG_RUNTIME_DIR: this.folder, WAYLAND_DISPLAY: socket };
  }
}
