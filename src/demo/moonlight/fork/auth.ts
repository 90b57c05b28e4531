/** Moonlight Web's one shared secret, `Authorization: Bearer <credentials>`. */
import { timingSafeEqual } from "node:crypto";

/** The status that refuses the request, or undefined if it may pass. */
export function refusalOf(authorization: string | undefined, credentials: string): 400 | 401 | undefined {
  if (authorization === undefined) return 401;
  const [scheme, given] = authorization.split(" ");
  if (given === undefined) return 400;
  return scheme === "Bearer" && sameSecret(given, credentials) ? undefined : 401;
}

export function sameSecret(given: string, expected: string): boolean {
  const left = Buffer.from(given);
  const right = Buffer.from(expected);
  return left.length === right.length && timingSafeEqual(left, right);
}
