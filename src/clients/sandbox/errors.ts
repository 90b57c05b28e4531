/** An error response of the sandbox server. */
import { ServiceError } from "../http/service-error.ts";

/** Text of the 500 (or 503 on `ws/stream`) while the desktop is not up yet. */
const DISPLAY_MISSING = /wayland|failed to capture screenshot|pipewire/i;

export class SandboxError extends ServiceError {
  override readonly name = "SandboxError";

  /** The desktop is starting, as in the first seconds of a sandbox. Retry. */
  get isDisplayMissing(): boolean {
    return this.status >= 500 && DISPLAY_MISSING.test(this.reason);
  }
}
