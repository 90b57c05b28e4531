/** Finds the end of chunked content (RFC 9112 §7.1). It only reads: the parser refuses what is malformed. */

const CR = 0x0d;
const LF = 0x0a;
const SEMICOLON = 0x3b;
const SPACE = 0x20;
const TAB = 0x09;

/** Hex digits of a chunk's size: more may exceed the safe integers. */
const MAX_SIZE_DIGITS = 12;

type State = "size" | "extension" | "size LF" | "data" | "data CR" | "data LF" | "malformed";

export class ChunkedContent {
  #state: State = "size";
  #size = 0;
  #digits = 0;

  /** @returns the index after the last chunk's line; `more`: it has not come yet */
  feed(bytes: Buffer): number | "more" | "malformed" {
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === "data") {
        const taken = Math.min(this.#size, bytes.length - at);
        this.#size -= taken;
        at += taken;
        if (this.#size === 0) this.#state = "data CR";
        continue;
      }
      const isLast = this.#take(bytes[at] ?? 0);
      at += 1;
      if (isLast) return at;
      if (this.#isMalformed()) return "malformed";
    }
    return "more";
  }

  #isMalformed(): boolean {
    return this.#state === "malformed";
  }

  /** @returns true at the end of the last chunk's line */
  #take(byte: number): boolean {
    switch (this.#state) {
      case "size":
        this.#state = this.#takeDigit(byte);
        return false;
      case "extension":
        if (byte === CR) this.#state = "size LF";
        else if (byte === LF) this.#state = "malformed";
        return false;
      case "size LF":
        if (byte !== LF) this.#state = "malformed";
        else if (this.#size === 0) return true;
        else this.#state = "data";
        return false;
      case "data CR":
        this.#state = byte === CR ? "data LF" : "malformed";
        return false;
      case "data LF":
        this.#state = byte === LF ? "size" : "malformed";
        this.#digits = 0;
        return false;
      default:
        return false;
    }
  }

  #takeDigit(byte: number): State {
    const digit = hexDigit(byte);
    if (digit < 0) {
      if (this.#digits === 0) return "malformed";
      if (byte === CR) return "size LF";
      return byte === SEMICOLON || byte === SPACE || byte === TAB ? "extension" : "malformed";
    }
    this.#digits += 1;
    this.#size = this.#size * 16 + digit;
    return this.#digits > MAX_SIZE_DIGITS ? "malformed" : "size";
  }
}

/** @returns -1 if it is none */
function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}
