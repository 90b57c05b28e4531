/** The sandbox server's own "no". */
import { ServiceError } from "../http/service-error.ts";

/** What the server says while the desktop is not there yet, and why it then answers 500 (or 503 on `ws/stream`). */
const DISPLAY_MISSING = /wayland|failed to capture screenshot|pipewire/i;

export class SandboxError extends ServiceError {
  override readonly name = "SandboxError";

  /** The desktop is starting: the normal state of the first seconds. Ask again. */
  get isDisplayMissing(): boolean {
    return this.status >= 500 && DISPLAY_MISSING.test(this.reason);
  }
}
