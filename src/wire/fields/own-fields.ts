/**
 * Response fields that mark a response as Turnabout's own. A target's must not pass: they would look like the agent's or the
 * control plane's, for example where the target is a Turnabout itself.
 */
import { foreignProxyStatus } from "./proxy-status.ts";

/** `Turnabout-*`, and the id under which our log has a refusal. */
function isOwnField(name: string): boolean {
  return name.startsWith("turnabout-") || name === "x-request-id";
}

/** The value of a target's response field without members in our name; undefined if nothing is left. */
export function withoutOwnName(name: string, value: string | string[]): string | string[] | undefined {
  if (isOwnField(name)) return undefined;
  return name === "proxy-status" ? foreignProxyStatus(value) : value;
}
