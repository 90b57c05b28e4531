/**
 * Lines to a client, as binary messages of its control connection. One program of the old fleet loses what remains of a message
 * that it has not read in one piece. Until the client is known to be another, it gets one small message at a time, with the lines
 * that wait, and the next one when a PING behind it has been acknowledged.
 */
import { SMALL_MESSAGE_BYTES } from "./limits.ts";

export interface CommandMessagesParts {
  send: (message: Buffer) => void;
  /** Calls back when everything before it has been read, or never will be. */
  confirm: (done: () => void) => void;
}

export class CommandMessages {
  readonly #parts: CommandMessagesParts;
  readonly #lines: string[] = [];
  #isConfirming = false;
  #readsWhole = false;
  waitingBytes = 0;

  constructor(parts: CommandMessagesParts) {
    this.#parts = parts;
  }

  /** ASCII, with its line feed. */
  send(line: string): void {
    this.#lines.push(line);
    this.waitingBytes += line.length;
    this.#flush();
  }

  /** The client is another: whatever it gets, it reads. */
  readsWholeMessages(): void {
    this.#readsWhole = true;
    this.#flush();
  }

  #flush(): void {
    while (this.#lines.length > 0 && (this.#readsWhole || !this.#isConfirming)) {
      const message = this.#lines.splice(0, this.#linesAtOnce()).join("");
      this.waitingBytes -= message.length;
      this.#parts.send(Buffer.from(message));
      if (this.#readsWhole) continue;
      this.#isConfirming = true;
      this.#parts.confirm(() => {
        this.#isConfirming = false;
        this.#flush();
      });
    }
  }

  /** At least one. */
  #linesAtOnce(): number {
    if (this.#readsWhole) return this.#lines.length;
    let bytes = 0;
    const tooMany = this.#lines.findIndex((line, n) => (bytes += line.length) > SMALL_MESSAGE_BYTES && n > 0);
    return tooMany < 0 ? this.#lines.length : tooMany;
  }
}
