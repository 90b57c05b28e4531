/** Ends a request to a peer that sends 1xx responses without end: each is an event, and postpones no deadline. */
import type { ClientRequest } from "node:http";
import { MAX_INFORMATIONAL_RESPONSES } from "../limits.ts";

/** The request then fails with an error. */
export function limitInformational(request: ClientRequest): void {
  let count = 0;
  request.on("information", () => {
    count += 1;
    if (count > MAX_INFORMATIONAL_RESPONSES) request.destroy(new Error("too many 1xx responses"));
  });
}
