/** Moonlight Web's own "no". */
import { ServiceError } from "../http/service-error.ts";

/** 401 for wrong credentials, 404 for an unknown host; there is hardly ever a `reason`. */
export class MoonlightError extends ServiceError {
  override readonly name = "MoonlightError";
}
