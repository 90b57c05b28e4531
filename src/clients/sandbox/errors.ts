/** An error response of the sandbox server. */
import { ServiceError } from "../http/service-error.ts";

/** Texts of the 500 (or 503 on `ws/stream` and `input`) while the desktop is not up yet, by older servers and newer ones. */
const DISPLAY_MISSING =
  /wayland|failed to capture screenshot|no screenshot method|pipewire|D-Bus connection|RemoteDesktop session/i;

/** In such a text: it is a program that is missing, and will be. */
const PROGRAM_MISSING = /executable file not found/;

export class SandboxError extends ServiceError {
  override readonly name = "SandboxError";

  /** The desktop is starting, as in the first seconds of a sandbox. Retry. */
  get isDisplayMissing(): boolean {
    return this.status >= 500 && DISPLAY_MISSING.test(this.reason) && !PROGRAM_MISSING.test(this.reason);
  }
}
