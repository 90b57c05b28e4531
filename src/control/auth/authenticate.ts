/** From a request to an identity. One parser for each place in which a credential may stand. */
import type { IncomingHttpHeaders } from "node:http";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Identity } from "./identity.ts";
import type { TokenStore } from "./tokens.ts";

/**
 * API and agent door: `Authorization: Bearer …` only. Forward proxy: `Proxy-Authorization` only, as Bearer or as the
 * password of Basic (what `curl -U` and library proxies send).
 *
 * @throws TurnaboutError `unauthenticated`
 */
export function authenticate(
  headers: IncomingHttpHeaders,
  where: "authorization" | "proxy-authorization",
  tokens: TokenStore,
): Identity {
  const value = headers[where];
  const token = value === undefined ? undefined : presentedToken(value, where);
  if (token === undefined) throw new TurnaboutError("unauthenticated", `${where}: no bearer token`);
  const identity = tokens.find(token);
  if (identity === undefined) throw new TurnaboutError("unauthenticated", `${where}: unknown token`);
  return identity;
}

function presentedToken(value: string, where: string): string | undefined {
  const bearer = /^Bearer +(\S+) *$/i.exec(value)?.[1];
  if (bearer !== undefined) return bearer;
  const basic = /^Basic +([A-Za-z0-9+/=]+) *$/i.exec(value)?.[1];
  if (basic === undefined || where !== "proxy-authorization") return undefined;
  const pair = Buffer.from(basic, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon < 0 ? undefined : pair.slice(colon + 1) || undefined;
}
