/**
 * Response fields by which Turnabout says that it answers itself. Of a target they would be taken for the agent's or the
 * control plane's word, for example where the target is a Turnabout itself.
 */
import { foreignProxyStatus } from "./proxy-status.ts";

/** `Turnabout-*` and the id by which a refusal is found in our log. */
function isOwnField(name: string): boolean {
  return name.startsWith("turnabout-") || name === "x-request-id";
}

/** The value of a target's response field without what speaks in our name; undefined if nothing is left. */
export function withoutOwnName(name: string, value: string | string[]): string | string[] | undefined {
  if (isOwnField(name)) return undefined;
  return name === "proxy-status" ? foreignProxyStatus(value) : value;
}
