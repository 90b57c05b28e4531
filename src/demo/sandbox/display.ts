/** What the screenshot server shows: a real desktop or a picture. */
export interface Display {
  readonly kind: "sway" | "picture";
  /** A PNG file. @throws DisplayError with the text for the caller */
  capture(): Promise<Buffer>;
  /** Ends every process and removes every file. Idempotent. */
  close(): Promise<void>;
}

/** No screenshot can be taken now. The message is a text of Helix's server, for the body of the 500. */
export class DisplayError extends Error {
  override readonly name = "DisplayError";
}

/** Text of Helix's server while the desktop starts. */
export const NO_DISPLAY = "No Wayland sockets available";
