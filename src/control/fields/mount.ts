/**
 * Rewrites a target's addresses for its callers. A target uses the host name of the request or a name of its own machine,
 * and paths from its root; its callers reach the same paths below a route of ours.
 */

/** Where a target's paths appear on our side. */
export interface Mount {
  /** Path on our side that replaces `targetPath`, without a trailing slash. */
  path: string;
  /** Prefix of the target's paths that the route leads to. Empty: all paths. */
  targetPath: string;
  /** Query parameter that the route itself needs, `session_id=ses_1`. */
  query?: string | undefined;
}

/** A mount as one request sees it. */
export interface Place {
  /** Path on our side as the caller knows it, with the prefix that a reverse proxy may have removed. */
  path: string;
  mount: Mount;
  /** Names for the target: the `Host` that it was sent, and the authority by which the caller knows us. */
  hosts: { requested: string; known: string | undefined };
  /** Path and query of the request to the target. */
  requestPath: string;
}

/** What a URI reference in a target's response leads to. */
export type Located =
  /** The target itself: replace it by this reference. */
  | { kind: "target"; reference: string }
  /** The target itself, at a path that no route leads to. */
  | { kind: "unreachable" }
  /** Another host, another scheme, or not a valid reference. */
  | { kind: "foreign" };

/** A scheme of ours and an authority, or an authority alone. Browsers read `\` as `/`. */
const WITH_AUTHORITY = /^(?:(?:https?|wss?):)?[\\/]{2}([^\\/?#]*)(.*)$/is;
const WITH_SCHEME = /^[a-z][a-z0-9+.-]*:/i;
const DOT_SEGMENT = /(?:^|[\\/])(?:\.|%2e){1,2}(?=[\\/?#]|$)/i;
/**
 * Names and addresses of a target's own machine, as `URL` writes a host: `localhost` and names below it (RFC 6761 §6.3),
 * common names in `/etc/hosts`, and loopback and unspecified addresses, IPv4-mapped ones too. Any port: behind a published
 * port a target listens on another one than the agent dials.
 */
const OWN_MACHINE = new RegExp(
  `^(?:${[
    String.raw`(?:[^.]+\.)*localhost\.?`,
    String.raw`localhost[46]?\.localdomain[46]?\.?`,
    String.raw`ip6-(?:localhost|loopback)\.?`,
    String.raw`127(?:\.\d{1,3}){3}`,
    String.raw`0\.0\.0\.0`,
    String.raw`\[::1?\]`,
    String.raw`\[::ffff:(?:7f[0-9a-f]{2}:[0-9a-f]{1,4}|0:0)\]`,
  ].join("|")})$`,
  "i",
);

/** RFC 3986 §5. @param reference from the target's response to `place.requestPath` */
export function locate(reference: string, place: Place): Located {
  const text = reference.trim();
  const [, authority, rest = ""] = WITH_AUTHORITY.exec(text) ?? [];
  if (authority !== undefined) {
    const host = ownHost(authority, place.hosts);
    if (host === undefined) return { kind: "foreign" };
    const path = /^[\\/]/.test(rest) ? rest : `/${rest}`;
    // The target knows our address: keep it, also its scheme.
    if (host === "public" && isPublic(path, place)) return { kind: "target", reference: text };
    return toPublic(path, place);
  }
  if (WITH_SCHEME.test(text)) return { kind: "foreign" };
  if (/^[\\/]/.test(text)) return toPublic(text, place);
  // Relative to the request, on our side as on the target's, as far as the route goes.
  if (place.mount.query === undefined && !climbsOut(text, place.requestPath)) {
    return { kind: "target", reference: text };
  }
  const resolved = URL.parse(text, `http://target${place.requestPath}`);
  if (resolved === null) return { kind: "foreign" };
  return toPublic(`${resolved.pathname}${resolved.search}${resolved.hash}`, place);
}

function toPublic(reference: string, place: Place): Located {
  const { path: publicPath, mount } = place;
  const [, path = "", query = "", fragment = ""] = /^([^?#]*)(\?[^#]*)?(#.*)?$/s.exec(reference) ?? [];
  const clean = DOT_SEGMENT.test(path) ? (URL.parse(`http://target${path}`)?.pathname ?? path) : path;
  if (isPublic(clean, place)) return { kind: "target", reference: `${clean}${query}${fragment}` };
  const below = clean.slice(mount.targetPath.length);
  if (!clean.startsWith(mount.targetPath) || (below !== "" && !/^[\\/]/.test(below))) {
    return { kind: "unreachable" };
  }
  const parameters = [query.slice(1), mount.query ?? ""].filter((text) => text !== "").join("&");
  const mark = parameters === "" ? query : `?${parameters}`;
  return { kind: "target", reference: `${publicPath}${below}${mark}${fragment}` };
}

/** A target that knows its prefix, by X-Forwarded-Prefix or by its configuration, has written it already. */
function isPublic(path: string, { path: publicPath, mount }: Place): boolean {
  if (mount.targetPath !== "" || mount.query !== undefined) return false;
  return path.startsWith(publicPath) && /^(?:$|[/?#])/.test(path.slice(publicPath.length));
}

function ownHost(authority: string, hosts: Place["hosts"]): "target" | "public" | undefined {
  const url = URL.parse(`http://${authority}`);
  if (url === null) return undefined;
  if (hosts.known !== undefined && bare(authority) === bare(hosts.known)) return "public";
  return OWN_MACHINE.test(url.hostname) || isRequestedHost(url, authority, hosts.requested)
    ? "target"
    : undefined;
}

/** A requested host with a port stands for that port only; without one, for any. */
function isRequestedHost({ hostname }: URL, authority: string, requested: string): boolean {
  const url = URL.parse(`http://${requested}`);
  if (url?.hostname !== hostname) return false;
  return !/:\d+$/.test(requested) || portOf(authority) === portOf(requested);
}

/** Empty for the ports of http and https: a target may not know which of them the caller uses. */
function portOf(authority: string): string {
  return /:0*(\d+)$/.exec(authority)?.[1]?.replace(/^(?:80|443)$/, "") ?? "";
}

/** Without user information, and without the default port of http or https: a target may not know which the caller uses. */
function bare(authority: string): string {
  return authority
    .replace(/^.*@/, "")
    .replace(/:(?:80|443)?$/, "")
    .toLowerCase();
}

/** It has more `..` than the request path has segments to leave. */
function climbsOut(reference: string, requestPath: string): boolean {
  const [path = ""] = reference.split(/[?#]/, 1);
  if (!DOT_SEGMENT.test(path)) return false;
  const [requested = ""] = requestPath.split("?", 1);
  let depth = requested.split("/").length - 2;
  for (const segment of path.split(/[\\/]/)) {
    if (/^(?:\.|%2e){2}$/i.test(segment)) depth -= 1;
    else if (segment !== "" && !/^(?:\.|%2e)$/i.test(segment)) depth += 1;
    if (depth < 0) return true;
  }
  return false;
}
