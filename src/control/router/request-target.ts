/**
 * What a request is addressed to: the control plane itself, or a target through the forward proxy. HTTP/1.1 uses the
 * absolute form for the latter (RFC 9112 §3.2.2), HTTP/2 `:scheme` and `:authority` (RFC 9113 §8.3.1), which requests to
 * ourselves have as well. `<target>.<runner>` may also be a host name: the connection and the credential then decide.
 */
import type { TLSSocket } from "node:tls";
import { TurnaboutError } from "../../wire/errors.ts";
import { parseAuthority } from "../../wire/messages/names.ts";
import type { AnyRequest } from "../listener/messages.ts";

export type RequestTarget =
  /** `host` where the request target names it, and not `Host`. */
  | { kind: "own"; url: string; host?: string | undefined }
  /** `path` is `*` for an `OPTIONS` request about the server as a whole. */
  | { kind: "proxy"; authority: string; path: string };

export interface OwnNames {
  /** Host of the URL that agents dial, where it is known. */
  ownHost: string | undefined;
  /** Path and query are of a kind that the control plane serves itself. */
  isOwnPath(url: string, isWebSocket: boolean): boolean;
}

function hasAbsoluteForm(url: string): boolean {
  return !url.startsWith("/") && url !== "*";
}

/** @throws TurnaboutError `bad_request` */
export function requestTarget(request: AnyRequest, isWebSocket: boolean, own: OwnNames): RequestTarget {
  const url = request.url ?? "/";
  if ("authority" in request) return http2Target(request, url, isWebSocket, own);
  return hasAbsoluteForm(url) ? absoluteTarget(request, url, isWebSocket, own) : { kind: "own", url };
}

function absoluteTarget(
  request: AnyRequest,
  url: string,
  isWebSocket: boolean,
  own: OwnNames,
): RequestTarget {
  const [, scheme = "", authority = "", rest = ""] =
    /^([a-z][a-z0-9+.-]*):\/\/([^/?#@]+)([/?][^#]*)?$/i.exec(url) ?? [];
  const path = rest.startsWith("/") ? rest : `/${rest}`;
  const isPlain = /^http$/i.test(scheme) || (isWebSocket && /^ws$/i.test(scheme));
  const isForTarget = parseAuthority(authority) !== undefined || hasProxyCredential(request);
  if (/^(?:https?|wss?)$/i.test(scheme) && (!isForTarget || isOwnName(request, authority, own))) {
    return { kind: "own", url: path, host: authority };
  }
  if (!isPlain) throw notForwarded(scheme);
  // RFC 9112 §3.2.4: a URI without path and query is `*` to the server behind the last proxy, and that is us.
  const isAsterisk = request.method === "OPTIONS" && rest === "";
  return { kind: "proxy", authority, path: isAsterisk ? "*" : path };
}

function http2Target(
  request: Extract<AnyRequest, { authority: string }>,
  url: string,
  isWebSocket: boolean,
  own: OwnNames,
): RequestTarget {
  const { authority } = request;
  if (parseAuthority(authority) === undefined || isOwnName(request, authority, own)) {
    return { kind: "own", url };
  }
  if (!isForProxy(request, url, isWebSocket, own)) return { kind: "own", url };
  const { scheme } = request;
  if (scheme !== "http") throw notForwarded(scheme);
  return { kind: "proxy", authority, path: url };
}

/** TLS to a target is between it and the caller: HTTP in it cannot be forwarded without its keys. */
function notForwarded(scheme: string): TurnaboutError {
  const isTls = /^(?:https|wss)$/i.test(scheme);
  const detail = isTls
    ? `the forward proxy takes ${scheme.toLowerCase()}:// through CONNECT only`
    : "the forward proxy takes http:// URIs without user information";
  return new TurnaboutError("bad_request", `forward proxy: ${detail}`, { details: [detail] });
}

/** Whether an authority that may be a target's is meant as one. */
function isForProxy(
  request: Extract<AnyRequest, { authority: string }>,
  url: string,
  isWebSocket: boolean,
  own: OwnNames,
): boolean {
  if (hasProxyCredential(request)) return true;
  if (request.scheme === "https") return false; // TLS to a target goes through CONNECT
  if (isEncrypted(request)) return true; // http on a TLS connection: a browser that uses us as its proxy
  // By prior knowledge, or from a reverse proxy that has terminated TLS: paths that we serve are ours.
  return !own.isOwnPath(url, isWebSocket);
}

function hasProxyCredential({ headers }: AnyRequest): boolean {
  return headers["proxy-authorization"] !== undefined;
}

/** The name by which the client has connected is ours. */
function isOwnName(request: AnyRequest, authority: string, { ownHost }: OwnNames): boolean {
  const name = authority.replace(/:\d+$/, "").toLowerCase();
  const { servername } = request.socket as Partial<TLSSocket>;
  return (typeof servername === "string" && name === servername.toLowerCase()) || name === ownHost;
}

function isEncrypted({ socket }: AnyRequest): boolean {
  return "encrypted" in socket;
}
