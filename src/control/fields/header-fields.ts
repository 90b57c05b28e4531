/** Header fields between caller and target: which are passed on, which we add, which must never reach the target. */
import type { IncomingHttpHeaders } from "node:http";
import type { TargetInfo } from "../../wire/messages/hello.ts";
import { connectionNominates, isHopByHop, listMembers } from "../../wire/fields/http-fields.ts";
import { withoutOwnName } from "../../wire/fields/own-fields.ts";
import { HEADER } from "../../wire/protocol.ts";
import { withoutTokenCookie } from "../auth/authenticate.ts";
import type { Client } from "../trusted-proxies/trusted-proxies.ts";
import type { AnyRequest } from "../listener/messages.ts";
import { isLocationField, isRootedNonAscii, rewriteLocation } from "./location-fields.ts";
import type { Mount, Place } from "./mount.ts";
import { isWithheldFromPages } from "./page-isolation.ts";
import { isOriginWide, isOwnChallenge, limitedCookies } from "./response-filter.ts";
import { withoutWait } from "./prefer.ts";

/** `api`: a route of ours; `proxy`: a forward-proxy request, whose own credentials and cookies are for the target. */
export type ProxyMode = "api" | "proxy";

/** Not passed on, like all that begin with `x-forwarded-`: we state who the client is. */
const CONSUMED = new Set(["expect", "host", HEADER.peer, "turnabout-timeout", "forwarded", "x-real-ip"]);

export interface ForwardedRequest {
  mode: ProxyMode;
  /** `Host` for a target that is not declared with one of its own. */
  host: string;
  /** Path and query at the target. */
  path: string;
  client: Client;
  credentials?: string | undefined;
  /** How paths of the route map to the target's; without it nothing is rewritten. */
  mount?: Mount | undefined;
  /** The target may set cookies, limited to its route. */
  hasCookies?: boolean | undefined;
  /** Which of the caller's fields the target gets. Default: all that have no meaning for us. */
  passes?: ((name: string) => boolean) | undefined;
  /** Fields that we add, in lower case. Under these names the caller's own never pass. */
  added?: Readonly<Record<string, string>> | undefined;
  /** Fields of the request that hold a token of ours. */
  withheld?: ReadonlySet<string> | undefined;
  /** A browser has sent it by itself, with our cookie: the response must not act in the name of our origin. */
  isolated?: boolean | undefined;
}

/** How the target is declared at its agent, as far as it matters for header fields. */
export type TargetDeclaration = Pick<TargetInfo, "rewrite" | "host"> | undefined;

/**
 * The fields that go to the target, as a flat list of names and values. No credential of ours is among them:
 * `Authorization`, `X-Api-Key` and the token cookie on the API, `Proxy-Authorization` on the forward proxy.
 */
export function requestFields(
  request: AnyRequest,
  job: ForwardedRequest,
  target: TargetDeclaration,
): string[] {
  const { headers } = request;
  const { mode, credentials, client, withheld, added = {} } = job;
  const nominated = connectionNominates(headers.connection);
  const fields: string[] = ["host", hostOf(job, target)];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":") || isHopByHop(name) || nominated.has(name)) continue;
    // Targets that make variables of fields (CGI, WSGI) cannot tell `_` from `-`.
    const variable = name.replaceAll("_", "-");
    if (CONSUMED.has(variable) || variable.startsWith("x-forwarded-")) continue;
    if (job.passes?.(name) === false || isAdded(variable, added)) continue;
    if (withheld?.has(name) === true || (name === "authorization" && credentials !== undefined)) continue;
    if (name === "prefer") {
      const preferences = withoutWait(value);
      if (preferences !== undefined) fields.push(name, preferences);
      continue;
    }
    if (name === "cookie" && mode === "api") {
      const kept = credentials === undefined ? withoutTokenCookie(String(value)) : undefined;
      if (kept !== undefined) fields.push(name, kept);
      continue;
    }
    // No compression: we replace the credentials in the first message.
    if (name === "sec-websocket-extensions" && credentials !== undefined) continue;
    if (Array.isArray(value)) for (const item of value) fields.push(name, item);
    else fields.push(name, value);
  }
  if (credentials !== undefined) fields.push("authorization", `Bearer ${credentials}`);
  for (const [name, value] of Object.entries(added)) fields.push(name, value);
  if (acceptsTrailers(request)) fields.push("te", "trailers");
  if (mode === "proxy") {
    fields.push("via", `${request.httpVersion} turnabout`);
    return fields;
  }
  fields.push("x-forwarded-for", client.address, "x-forwarded-proto", client.scheme);
  if (client.host !== undefined) fields.push("x-forwarded-host", client.host);
  const place = placeOf(job, target);
  if (place !== undefined && isPrefix(place.mount)) fields.push("x-forwarded-prefix", place.path);
  return fields;
}

/** A target may not tell `_` from `-` in a name. */
function isAdded(variable: string, added: Readonly<Record<string, string>>): boolean {
  return Object.keys(added).some((name) => name.replaceAll("_", "-") === variable);
}

/** Fields that have no meaning after a body, or would bypass what was decided by the header (RFC 9110 §6.5.1). */
const NOT_IN_TRAILERS = new Set([
  "authorization",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "x-api-key",
]);

/** A request's trailers for the target, available when its body has ended. */
export function trailerFields(
  { rawTrailers }: Pick<AnyRequest, "rawTrailers">,
  { passes, added = {} }: Pick<ForwardedRequest, "added" | "passes">,
): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < rawTrailers.length; i += 2) {
    const name = (rawTrailers[i] ?? "").toLowerCase();
    const value = rawTrailers[i + 1] ?? "";
    const variable = name.replaceAll("_", "-");
    if (name.startsWith(":") || isHopByHop(name) || NOT_IN_TRAILERS.has(variable)) continue;
    if (CONSUMED.has(variable) || variable.startsWith("x-forwarded-")) continue;
    if (passes?.(name) === false || isAdded(variable, added)) continue;
    const known = fields[name];
    fields[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  }
  return fields;
}

/** gRPC over HTTP/2: `application/grpc`, `application/grpc+proto`; not gRPC-Web, which is made for HTTP/1.1 proxies. */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  return /^application\/grpc(?:$|[+;\s])/i.test(headers["content-type"] ?? "");
}

/** RFC 9110 §10.1.4. The rest of `TE` applies to our own connection to the caller. */
function acceptsTrailers({ headers, method }: AnyRequest): boolean {
  if (headers.upgrade !== undefined || method === "CONNECT") return false;
  return listMembers(String(headers["te"] ?? "")).some((member) => member.toLowerCase() === "trailers");
}

/** The path on our side is always a prefix followed by the target's own path. */
function isPrefix({ targetPath, query }: Mount): boolean {
  return targetPath === "" && query === undefined;
}

/** A forward-proxy request names the target's host itself. */
function hostOf({ mode, host }: ForwardedRequest, target: TargetDeclaration): string {
  return mode === "api" ? (target?.host ?? host) : host;
}

/** Undefined: the target's addresses are not rewritten. */
function placeOf(job: ForwardedRequest, target: TargetDeclaration): Place | undefined {
  const { mount, client, path } = job;
  if (mount === undefined || target?.rewrite === "off") return undefined;
  const hosts = { requested: hostOf(job, target), known: client.host };
  return { path: `${client.prefix}${mount.path}`, mount, hosts, requestPath: path };
}

/** End-to-end fields of a target's response, without those that are ours or affect our origin, and with our addresses. */
export function responseFields(
  headers: IncomingHttpHeaders,
  job: ForwardedRequest,
  target: TargetDeclaration,
): Record<string, string | string[]> {
  const nominated = connectionNominates(headers.connection);
  const fields: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name.startsWith(":") || isHopByHop(name) || nominated.has(name)) continue;
    const kept = withoutOwnName(name, value);
    if (kept === undefined) continue;
    const passed = job.mode === "proxy" ? kept : responseField(name, kept, job, target);
    if (passed !== undefined) fields[name] = passed;
  }
  return fields;
}

/**
 * The same for the response to a WebSocket handshake, where a client may follow a redirect to a URI (RFC 6455 §4.1). A path
 * with bytes beyond ASCII is not one (RFC 3986 §2): it passes unchanged, if the route leads to every path.
 */
export function handshakeResponseFields(
  headers: IncomingHttpHeaders,
  job: ForwardedRequest,
  target: TargetDeclaration,
): Record<string, string | string[]> {
  const fields = responseFields(headers, job, target);
  const { location } = headers;
  if (location === undefined || job.mount === undefined || !isPrefix(job.mount)) return fields;
  return isRootedNonAscii(location) ? { ...fields, location } : fields;
}

function responseField(
  name: string,
  value: string | string[],
  job: ForwardedRequest,
  target: TargetDeclaration,
): string | string[] | undefined {
  if (name === "set-cookie") {
    if (job.hasCookies !== true || job.mount === undefined) return undefined;
    const path = `${job.client.prefix}${job.mount.path}`;
    const cookies = limitedCookies(Array.isArray(value) ? value : [value], path);
    return cookies.length > 0 ? cookies : undefined;
  }
  if (isLocationField(name)) return rewriteLocation(name, value, placeOf(job, target));
  if (isOriginWide(name) || (job.isolated === true && isWithheldFromPages(name))) return undefined;
  return name === "www-authenticate" ? challengesFor(job, value) : value;
}

/** Without those in our name; none where the credentials are ours, which the caller neither has nor can change. */
function challengesFor(job: ForwardedRequest, value: string | string[]): string | string[] | undefined {
  if (job.credentials !== undefined) return undefined;
  if (!Array.isArray(value)) return isOwnChallenge(value) ? undefined : value;
  const kept = value.filter((challenge) => !isOwnChallenge(challenge));
  return kept.length === 0 ? undefined : kept;
}

/** `Turnabout-Timeout: N`: seconds until the target's response header, at most our own limit. */
export function requestedTimeoutMs(headers: IncomingHttpHeaders, maxMs: number): number {
  const value = headers["turnabout-timeout"];
  const seconds = typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
  return seconds === undefined || seconds <= 0 ? maxMs : Math.min(maxMs, Math.ceil(seconds * 1_000));
}
