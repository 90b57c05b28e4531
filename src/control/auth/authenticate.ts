/** Authenticates requests: one parser for each place of a credential, each of which results in one identity. */
import type { IncomingHttpHeaders } from "node:http";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Client } from "../trusted-proxies/trusted-proxies.ts";
import type { Identity } from "./identity.ts";
import { SignIns } from "./sign-ins.ts";
import type { TokenStore } from "./tokens.ts";

/** Cookie and query parameter that may carry a token. */
export const TOKEN_COOKIE = "access_token";
export const TOKEN_PARAMETER = "access_token";

/** The part of a request that is authenticated, the same for HTTP/1.1, HTTP/2 and upgrades. */
export interface Presented {
  method: string;
  headers: IncomingHttpHeaders;
  /** Path and query. */
  url: string;
  /** A query parameter is accepted only here, because browsers cannot set header fields on a WebSocket. */
  isWebSocket: boolean;
  /** Scheme and host that the client has used. */
  client: Pick<Client, "scheme" | "host">;
}

export interface CookiePolicy {
  /** Origins besides the control plane's own whose pages may use the cookie for unsafe requests and WebSockets. */
  allowedOrigins: readonly string[];
  /** Whose ids the cookie may have in place of a token. */
  signIns: Pick<SignIns, "find">;
}

const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Agent endpoint: `Authorization: Bearer …` only. @throws TurnaboutError `unauthenticated` */
export function authenticateBearer(headers: IncomingHttpHeaders, tokens: TokenStore): Identity {
  return identify(bearer(headers.authorization), "Authorization", tokens);
}

/**
 * Forward proxy: `Proxy-Authorization` only, as Bearer or as the password of Basic, which `curl -U` and HTTP libraries
 * send.
 *
 * @throws TurnaboutError `unauthenticated`
 */
export function authenticateProxy(headers: IncomingHttpHeaders, tokens: TokenStore): Identity {
  const value = headers["proxy-authorization"];
  return identify(bearer(value) ?? basicPassword(value), "Proxy-Authorization", tokens);
}

/**
 * API: `Authorization: Bearer`, else `X-Api-Key`, else the cookie, else (WebSockets) the query parameter. The first one
 * that is present decides, even if it is invalid. `Authorization` with another scheme is left to the target if one of
 * the others is present.
 *
 * @throws TurnaboutError `unauthenticated`, `origin_not_allowed`
 */
export function authenticate(request: Presented, tokens: TokenStore, policy: CookiePolicy): Identity {
  const { headers } = request;
  switch (credentialPlace(request)) {
    case "Authorization":
      return authenticateBearer(headers, tokens);
    case "X-Api-Key":
      return identify(String(headers["x-api-key"]), "X-Api-Key", tokens);
    case "cookie":
      if (!SAFE_METHODS.has(request.method) || request.isWebSocket) requireOrigin(request, policy, tokens);
      return identifyCookie(cookie(headers.cookie, TOKEN_COOKIE), tokens, policy.signIns);
    case "query":
      return identify(queryOf(request.url).get(TOKEN_PARAMETER) ?? undefined, "query", tokens);
    case undefined:
      tokens.refused.add("missing");
      throw new TurnaboutError("unauthenticated", "request: no token");
  }
}

/**
 * The fields of a request that a target's page may have sent, with an `Authorization` of its own: that one does not count
 * where the cookie identifies the caller. Without such a cookie it is a credential as anywhere else.
 */
export function withoutPageCredential(
  headers: IncomingHttpHeaders,
  tokens: TokenStore,
  { signIns }: Pick<CookiePolicy, "signIns">,
): IncomingHttpHeaders {
  const token = cookie(headers.cookie, TOKEN_COOKIE);
  if (headers.authorization === undefined || token === undefined) return headers;
  if (signIns.find(token) === undefined && tokens.find(token) === undefined) return headers;
  const { authorization: _ofThePage, ...others } = headers;
  return others;
}

/** Places of a credential in an API request, in order of precedence. */
export type CredentialPlace = "Authorization" | "X-Api-Key" | "cookie" | "query";

/** The place of an API request's credential; undefined if it has none. */
export function credentialPlace({
  headers,
  url,
  isWebSocket,
}: Pick<Presented, "headers" | "url" | "isWebSocket">): CredentialPlace | undefined {
  const { authorization } = headers;
  if (authorization !== undefined && /^ *Bearer(?: |$)/i.test(authorization)) return "Authorization";
  if (typeof headers["x-api-key"] === "string") return "X-Api-Key";
  if (cookie(headers.cookie, TOKEN_COOKIE) !== undefined) return "cookie";
  if (isWebSocket && queryOf(url).has(TOKEN_PARAMETER)) return "query";
  return authorization === undefined ? undefined : "Authorization";
}

/**
 * Whether the value of `Authorization` or `X-Api-Key` holds one of our tokens. Such a value never reaches a target; any
 * other belongs to the target.
 */
export function holdsToken(value: string, tokens: TokenStore): boolean {
  // A field that came twice is one with a comma (RFC 9110 §5.3).
  const candidates = new Set([bearer(value), basicPassword(value), value, ...value.split(",")]);
  for (const token of candidates) if (token !== undefined && tokens.isKnown(token.trim())) return true;
  return false;
}

/**
 * Protects against cross-site requests: a browser sends the cookie with requests of any page, and the Origin names that
 * page. Checked for unsafe methods, and for WebSockets, which the same-origin policy does not cover.
 *
 * @throws TurnaboutError `origin_not_allowed`
 */
export function requireOrigin(
  { headers, client }: Pick<Presented, "client" | "headers">,
  policy: Pick<CookiePolicy, "allowedOrigins">,
  tokens: Pick<TokenStore, "refused">,
): void {
  const { origin } = headers;
  if (origin !== undefined && (policy.allowedOrigins.includes(origin) || isOwn(origin, client))) return;
  tokens.refused.add("origin");
  throw new TurnaboutError("origin_not_allowed", `cookie from origin ${origin ?? "(none)"} refused`);
}

/**
 * A page loaded over http is not an https host's own. An https page is accepted for an http request, because a reverse
 * proxy that is not configured as trusted may terminate TLS.
 */
function isOwn(origin: string, { scheme, host }: Presented["client"]): boolean {
  const url = URL.parse(origin);
  if (url === null || host === undefined) return false;
  return (
    url.host === URL.parse(`${url.protocol}//${host}`)?.host &&
    (scheme === "http" || url.protocol === "https:")
  );
}

/** The id of a sign-in, or a token. */
function identifyCookie(
  value: string | undefined,
  tokens: TokenStore,
  signIns: CookiePolicy["signIns"],
): Identity {
  const identity = value === undefined ? undefined : signIns.find(value);
  if (identity !== undefined) return identity;
  if (value === undefined || !SignIns.isId(value)) return identify(value, "cookie", tokens);
  tokens.refused.add("expired");
  throw new TurnaboutError("unauthenticated", "cookie: the sign-in has ended", {
    details: ["the sign-in has ended"],
  });
}

/** A token that came in a body. @throws TurnaboutError `unauthenticated` */
export function authenticateToken(token: string, tokens: TokenStore): Identity {
  return identify(token, "body", tokens);
}

function identify(token: string | undefined, where: string, tokens: TokenStore): Identity {
  if (token === undefined || token === "") {
    tokens.refused.add("missing");
    throw new TurnaboutError("unauthenticated", `${where}: no token`);
  }
  const identity = tokens.find(token);
  if (identity !== undefined) return identity;
  const reason = tokens.refusalOf(token);
  tokens.refused.add(reason);
  // Its holder may know; of a token that never was there is nothing to tell.
  const details = reason === "unknown" ? {} : { details: [`the token ${TOKEN_REFUSALS[reason]}`] };
  throw new TurnaboutError("unauthenticated", `${where}: ${reason} token`, details);
}

const TOKEN_REFUSALS = { expired: "has expired", revoked: "has been revoked" } as const;

function bearer(value: string | undefined): string | undefined {
  return value === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(value)?.[1];
}

function basicPassword(value: string | undefined): string | undefined {
  const encoded = value === undefined ? undefined : /^Basic +([A-Za-z0-9+/=]+) *$/i.exec(value)?.[1];
  if (encoded === undefined) return undefined;
  const pair = Buffer.from(encoded, "base64").toString("utf8");
  const colon = pair.indexOf(":");
  return colon < 0 ? undefined : pair.slice(colon + 1);
}

function cookie(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? "").split(";")) {
    const equals = pair.indexOf("=");
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
  }
  return undefined;
}

export function queryOf(url: string): URLSearchParams {
  const mark = url.indexOf("?");
  return new URLSearchParams(mark < 0 ? "" : url.slice(mark + 1));
}

/** The `Cookie` field without our token; undefined if that leaves nothing. */
export function withoutTokenCookie(header: string): string | undefined {
  const kept = header.split(";").filter((pair) => pair.slice(0, pair.indexOf("=")).trim() !== TOKEN_COOKIE);
  const text = kept.join(";").trim();
  return text === "" ? undefined : text;
}

/** Path and query without the named parameters; the rest stays as the caller wrote it. */
export function withoutParameters(path: string, names: readonly string[]): string {
  return filterQuery(path, (name) => !names.includes(name));
}

/** Path and query without parameters that hold one of our tokens. Another value of the parameter is left to the target. */
export function withoutTokens(path: string, tokens: TokenStore): string {
  return filterQuery(path, (name, value) => name !== TOKEN_PARAMETER || !tokens.isKnown(value));
}

function filterQuery(path: string, isKept: (name: string, value: string) => boolean): string {
  const mark = path.indexOf("?");
  if (mark < 0) return path;
  const kept = path
    .slice(mark + 1)
    .split("&")
    .filter((pair) => {
      const [name = "", ...value] = pair.split("=");
      return isKept(decode(name), decode(value.join("=")));
    });
  return kept.length === 0 ? path.slice(0, mark) : `${path.slice(0, mark)}?${kept.join("&")}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
