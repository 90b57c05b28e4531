/** An error response of Moonlight Web. */
import { ServiceError } from "../http/service-error.ts";

/** 401 for wrong credentials, 404 for an unknown host; `reason` is mostly empty. */
export class MoonlightError extends ServiceError {
  override readonly name = "MoonlightError";
}
