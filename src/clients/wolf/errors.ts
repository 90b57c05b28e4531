/** An error response of Wolf. */
import { ServiceError } from "../http/service-error.ts";

/**
 * `{"success":false,"error":…}`, or a status other than 200. `reason` has Wolf's text: `Invalid PIN`.
 * Nearly all of Wolf's errors are a 500; an endpoint that this version of Wolf lacks is a 404 without a reason.
 */
export class WolfError extends ServiceError {
  override readonly name = "WolfError";
}
