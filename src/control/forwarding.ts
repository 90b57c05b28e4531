/** Header fields between caller and target: what crosses, what is ours to add, what must never reach the target. */
import type { IncomingHttpHeaders } from "node:http";
import { connectionNominates, isHopByHop } from "../wire/http-fields.ts";
import { withoutTokenCookie } from "./auth/authenticate.ts";
import type { Client } from "./front/fronts.ts";
import type { AnyRequest } from "./listener/port.ts";
import { isOriginWide, limitedCookies } from "./origin-fields.ts";

/** `api`: below /api/v1/runners/…; `proxy`: a forward-proxy request, whose own fields are the target's. */
export type Route = "api" | "proxy";

/** Besides all that begins with `x-forwarded-`: who a client is, is ours to say. */
const CONSUMED = new Set(["expect", "host", "prefer", "turnabout-timeout", "forwarded", "x-real-ip"]);

export interface Forwarded {
  route: Route;
  host: string;
  client: Client;
  credentials?: string | undefined;
  /** Path of the route to the target, to which its cookies are limited; without it they are dropped. */
  cookiePath?: string | undefined;
}

/**
 * The fields that go to the target, as a flat list of names and values. The credential that we consumed is not among
 * them: `Authorization`, `X-Api-Key` and the token cookie on the API, `Proxy-Authorization` on the forward proxy.
 */
export function requestFields(request: AnyRequest, job: Forwarded): string[] {
  const { headers } = request;
  const { route, credentials, client } = job;
  const nominated = connectionNominates(headers.connection);
  const fields: string[] = ["host", job.host];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || name.startsWith(":") || isHopByHop(name) || nominated.has(name)) continue;
    // Targets that make variables of fields (CGI, WSGI) cannot tell `_` from `-`.
    const variable = name.replaceAll("_", "-");
    if (CONSUMED.has(variable) || variable.startsWith("x-forwarded-")) continue;
    if (route === "api" && (name === "authorization" || name === "x-api-key")) continue;
    if (name === "cookie" && route === "api") {
      const kept = credentials === undefined ? withoutTokenCookie(String(value)) : undefined;
      if (kept !== undefined) fields.push(name, kept);
      continue;
    }
    // The target has to see every byte of the first message: its credentials are ours to write.
    if (name === "sec-websocket-extensions" && credentials !== undefined) continue;
    if (Array.isArray(value)) for (const item of value) fields.push(name, item);
    else fields.push(name, value);
  }
  if (credentials !== undefined) fields.push("authorization", `Bearer ${credentials}`);
  if (route === "proxy") fields.push("via", `${request.httpVersion} turnabout`);
  else {
    fields.push("x-forwarded-for", client.address, "x-forwarded-proto", client.scheme);
    if (client.host !== undefined) fields.push("x-forwarded-host", client.host);
  }
  return fields;
}

/** Fields that have no meaning behind a body, or would go past what was decided at its head (RFC 9110 §6.5.1). */
const NOT_IN_TRAILERS = new Set([
  "authorization",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "x-api-key",
]);

/** A request's trailers for an HTTP/2 target, when its body has ended. */
export function trailerFields(request: AnyRequest): Record<string, string | string[]> {
  const { rawTrailers } = request;
  const fields: Record<string, string | string[]> = {};
  for (let i = 0; i + 1 < rawTrailers.length; i += 2) {
    const name = (rawTrailers[i] ?? "").toLowerCase();
    const value = rawTrailers[i + 1] ?? "";
    const variable = name.replaceAll("_", "-");
    if (name.startsWith(":") || isHopByHop(name) || NOT_IN_TRAILERS.has(variable)) continue;
    if (CONSUMED.has(variable) || variable.startsWith("x-forwarded-")) continue;
    const known = fields[name];
    fields[name] = known === undefined ? value : [...(Array.isArray(known) ? known : [known]), value];
  }
  return fields;
}

/** gRPC over HTTP/2: `application/grpc`, `application/grpc+proto`; not gRPC-Web, which is made for HTTP/1.1 proxies. */
export function isGrpc(headers: IncomingHttpHeaders): boolean {
  return /^application\/grpc(?:$|[+;\s])/i.test(headers["content-type"] ?? "");
}

/** End-to-end fields of a target's response, without what it must not say for our origin. */
export function responseFields(
  headers: IncomingHttpHeaders,
  { route, cookiePath }: Pick<Forwarded, "route" | "cookiePath">,
): Record<string, string | string[]> {
  const nominated = connectionNominates(headers.connection);
  const fields: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value === undefined || name.startsWith(":") || isHopByHop(name) || nominated.has(name)) continue;
    if (route === "proxy") fields[name] = value;
    else if (name === "set-cookie") {
      if (cookiePath === undefined) continue;
      const cookies = limitedCookies(Array.isArray(value) ? value : [value], cookiePath);
      if (cookies.length > 0) fields[name] = cookies;
    } else if (!isOriginWide(name)) fields[name] = value;
  }
  return fields;
}

/** RFC 7240 `Prefer: wait=N`: seconds that the caller is willing to wait for the runner. */
export function preferredWaitMs(headers: IncomingHttpHeaders): number {
  const value = headers["prefer"];
  const seconds = /(?:^|[,;\s])wait=(\d{1,5})/.exec(
    Array.isArray(value) ? value.join(",") : (value ?? ""),
  )?.[1];
  return seconds === undefined ? 0 : Number(seconds) * 1_000;
}

/** `Turnabout-Timeout: N`: seconds that the caller gives the target for its response header, below our own limit. */
export function requestedTimeoutMs(headers: IncomingHttpHeaders, mostMs: number): number {
  const value = headers["turnabout-timeout"];
  const seconds = typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : undefined;
  return seconds === undefined || seconds <= 0 ? mostMs : Math.min(mostMs, Math.ceil(seconds * 1_000));
}
