/** Moonlight Web's one shared secret, `Authorization: Bearer <credentials>`. */
import { timingSafeEqual } from "node:crypto";

/** The status that refuses the request, or undefined if it may pass. */
export function refusalOf(authorization: string | undefined, credentials: string): 401 | 500 | undefined {
  if (authorization === undefined) return 401;
  // The real server panics here (`todo!()`), which its framework turns into a 500.
  if (!authorization.includes(" ")) return 500;
  const [scheme, given = ""] = authorization.split(" ");
  return scheme === "Bearer" && sameSecret(given, credentials) ? undefined : 401;
}

export function sameSecret(given: string, expected: string): boolean {
  const left = Buffer.from(given);
  const right = Buffer.from(expected);
  return left.length === right.length && timingSafeEqual(left, right);
}
