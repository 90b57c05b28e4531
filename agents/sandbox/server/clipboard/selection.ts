/**
 * The desktop's two selections, by wl-paste and wl-copy: CLIPBOARD (copy and paste) and PRIMARY (marked text).
 *
 * wl-copy leaves a process that serves the content to programs that paste. It is not a leak: it ends when another
 * program copies something, with the next wl-copy at the latest, or when the display ends. It is meant to outlive
 * this server, as what was copied outlives the program it was copied from.
 */
import type { Display } from "../desktop/display.ts";
import { Failure, messageOf } from "../errors.ts";
import { CLIPBOARD_DATA_TIMEOUT_MS, CLIPBOARD_TYPES_TIMEOUT_MS, MAX_CLIPBOARD_BYTES } from "../limits.ts";
import type { Logger } from "../log.ts";
import { ProgramError } from "../desktop/programs.ts";
import type { Programs } from "../desktop/programs.ts";

/** What a selection holds. An image is a PNG file. */
export interface ClipboardContent {
  type: "text" | "image";
  bytes: Buffer;
}

type Selection = "clipboard" | "primary";

/** Types that sharp turns into PNG, where an application offers no PNG. */
const OTHER_IMAGES: readonly string[] = ["image/jpeg", "image/webp", "image/gif", "image/tiff"];

export class Clipboard {
  readonly #programs: Programs;
  readonly #display: Display;
  readonly #log: Logger;

  constructor(programs: Programs, display: Display, log: Logger) {
    this.#programs = programs;
    this.#display = display;
    this.#log = log;
  }

  /** CLIPBOARD, or else PRIMARY; undefined when both are empty, cannot be read, or while there is no display. */
  async read(): Promise<ClipboardContent | undefined> {
    return (await this.#tryTwice("clipboard")) ?? (await this.#tryTwice("primary"));
  }

  /** As {@link read}, but a CLIPBOARD that cannot be read is no empty one. @throws Error */
  async readOrFail(): Promise<ClipboardContent | undefined> {
    const hasDisplay = await this.#display.sockets().then(
      () => true,
      () => false,
    );
    if (!hasDisplay) return undefined;
    return (await this.#readSelection("clipboard")) ?? (await this.#tryTwice("primary"));
  }

  /** Sets both selections; empty content clears them. @throws Failure 500 with Helix's texts */
  async write(content: ClipboardContent): Promise<void> {
    await this.#requireDisplay();
    try {
      await this.#copy("clipboard", content);
    } catch (error) {
      this.#log.warn({ err: error }, "clipboard not set");
      throw new Failure(500, messageOf(error), { cause: error });
    }
    // PRIMARY is a convenience: applications without it are no reason to fail.
    await this.#copy("primary", content).catch((error: unknown) => {
      this.#log.warn({ err: error }, "primary selection not set");
    });
  }

  async #requireDisplay(): Promise<void> {
    try {
      await this.#display.sockets();
    } catch (error) {
      throw new Failure(500, "no Wayland display", { cause: error });
    }
  }

  /** Twice, because a selection that is replaced while it is read fails, and the other one may be far older. */
  async #tryTwice(selection: Selection): Promise<ClipboardContent | undefined> {
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      try {
        return await this.#readSelection(selection);
      } catch (error) {
        this.#log.debug({ err: error, selection, attempt }, "selection not read");
      }
    }
    // An owner that does not respond: for the caller there is nothing to paste.
    return undefined;
  }

  async #readSelection(selection: Selection): Promise<ClipboardContent | undefined> {
    const content = await this.#paste(selection, await this.#types(selection));
    return content === undefined || content.bytes.length === 0 ? undefined : content;
  }

  /** MIME types on offer; none when the selection is empty. */
  async #types(selection: Selection): Promise<string[]> {
    return this.#display.tryEach(async (socket) => {
      try {
        const output = await this.#run("wl-paste", ["--list-types", ...flag(selection)], socket, {
          timeoutMs: CLIPBOARD_TYPES_TIMEOUT_MS,
        });
        return output.toString("utf8").split("\n").filter(Boolean);
      } catch (error) {
        // An empty selection is a failure to wl-paste ("No selection"; newer: "Nothing is copied"), not to us.
        if (error instanceof ProgramError && /^(No selection|Nothing is copied)/.test(error.reason))
          return [];
        throw error;
      }
    });
  }

  async #paste(selection: Selection, types: readonly string[]): Promise<ClipboardContent | undefined> {
    if (types.length === 0) return undefined;
    if (types.includes("image/png")) {
      return { type: "image", bytes: await this.#pasteAs(selection, "image/png") };
    }
    const other = OTHER_IMAGES.find((type) => types.includes(type));
    if (other !== undefined) {
      const image = await this.#pasteAs(selection, other);
      const { default: sharp } = await import("sharp");
      return { type: "image", bytes: await sharp(image).png().toBuffer() };
    }
    const text = ["text/plain;charset=utf-8", "UTF8_STRING", "text/plain", "STRING", "TEXT"];
    const type = text.find((name) => types.includes(name)) ?? types.find((name) => name.startsWith("text/"));
    return type === undefined ? undefined : { type: "text", bytes: await this.#pasteAs(selection, type) };
  }

  #pasteAs(selection: Selection, type: string): Promise<Buffer> {
    const args = ["--no-newline", "--type", type, ...flag(selection)];
    return this.#display.tryEach((socket) =>
      this.#run("wl-paste", args, socket, { timeoutMs: CLIPBOARD_DATA_TIMEOUT_MS }),
    );
  }

  async #copy(selection: Selection, { type, bytes }: ClipboardContent): Promise<void> {
    // With an explicit type wl-copy does not guess one: text that begins with "<html" stays text.
    const args = bytes.length === 0 ? ["--clear"] : ["--type", type === "image" ? "image/png" : "text/plain"];
    await this.#display.tryEach((socket) =>
      this.#run("wl-copy", [...args, ...flag(selection)], socket, {
        timeoutMs: CLIPBOARD_DATA_TIMEOUT_MS,
        stdin: bytes,
        // It ends when the selection is set; the process behind it stays.
        until: "exit",
      }),
    );
  }

  #run(
    program: string,
    args: readonly string[],
    socket: string,
    options: { timeoutMs: number; stdin?: Uint8Array; until?: "exit" },
  ): Promise<Buffer> {
    const env = this.#display.environment(socket);
    return this.#programs.run(program, args, { env, maxOutputBytes: MAX_CLIPBOARD_BYTES, ...options });
  }
}

function flag(selection: Selection): string[] {
  return selection === "primary" ? ["--primary"] : [];
}
