/** The id of a request, under which the caller, the control plane and the agent speak of the same one. */

/** Bounded, and without a character that would end a line or a string of a log. UUIDs and trace ids of all kinds fit. */
const REQUEST_ID = /^[\w.:+/=@-]{1,128}$/;

export function isRequestId(value: unknown): value is string {
  return typeof value === "string" && REQUEST_ID.test(value);
}
