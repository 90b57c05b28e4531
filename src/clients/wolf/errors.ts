/** Wolf's own "no". */
import { ServiceError } from "../http/service-error.ts";

/**
 * `{"success":false,"error":…}`, or a status other than 200. `reason` has Wolf's words: `Invalid PIN`.
 * Nearly all of Wolf's errors are a 500, and an endpoint that this Wolf does not have is a 404 without a reason.
 */
export class WolfError extends ServiceError {
  override readonly name = "WolfError";
}
