/**
 * Addresses of a target as its callers can use them. A target knows itself by the name that it was asked by or by a name
 * of its own machine, and its paths begin at the root; its callers find the same paths behind a route of ours.
 */

/** Where a target's paths are found on our side. */
export interface Mount {
  /** What stands on our side in place of `targetPath`, without a slash at the end. */
  path: string;
  /** What all of its own paths begin with that the route leads to. Empty: it leads to every path. */
  targetPath: string;
  /** Query parameter that the route itself needs, `session_id=ses_1`. */
  query?: string | undefined;
}

/** One request's view of a mount. */
export interface Place {
  /** Path on our side as the caller knows it: behind a proxy that has taken a prefix off, with that prefix. */
  path: string;
  mount: Mount;
  /** Names that stand for the target: the `Host` that it was asked by, and the authority by which the caller knows us. */
  hosts: { asked: string; known: string | undefined };
  /** Path and query that the target was asked for. */
  requestPath: string;
}

/** What a URI reference of a target's means to its caller. */
export type Located =
  /** The target itself: use this reference in its place. */
  | { kind: "target"; reference: string }
  /** The target itself, by a path to which no route leads. */
  | { kind: "unreachable" }
  /** Another host, another scheme, or nothing that can be read. */
  | { kind: "foreign" };

/** A scheme of ours and an authority, or an authority alone. Browsers read `\` as `/`. */
const WITH_AUTHORITY = /^(?:(?:https?|wss?):)?[\\/]{2}([^\\/?#]*)(.*)$/is;
const WITH_SCHEME = /^[a-z][a-z0-9+.-]*:/i;
const DOT_SEGMENT = /(?:^|[\\/])(?:\.|%2e){1,2}(?=[\\/?#]|$)/i;
/**
 * Names and addresses of a target's own machine, as `URL` writes a host: `localhost` and names below it (RFC 6761 §6.3),
 * those that systems have in `/etc/hosts`, and loopback and unspecified addresses, IPv4-mapped ones too. Any port: a target
 * behind a published port knows another one than the agent dials.
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

/** RFC 3986 §5: `reference` as the target's response to `place.requestPath` has it. */
export function locate(reference: string, place: Place): Located {
  const text = reference.trim();
  const [, authority, rest = ""] = WITH_AUTHORITY.exec(text) ?? [];
  if (authority !== undefined) {
    const host = ownHost(authority, place.hosts);
    if (host === undefined) return { kind: "foreign" };
    const path = /^[\\/]/.test(rest) ? rest : `/${rest}`;
    // It knows the whole address: nothing is left to do, and its scheme may be better than ours.
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

/** A target that was told its prefix, or configured with it, has written it already. */
function isPublic(path: string, { path: publicPath, mount }: Place): boolean {
  if (mount.targetPath !== "" || mount.query !== undefined) return false;
  return path.startsWith(publicPath) && /^(?:$|[/?#])/.test(path.slice(publicPath.length));
}

function ownHost(authority: string, hosts: Place["hosts"]): "target" | "public" | undefined {
  const url = URL.parse(`http://${authority}`);
  if (url === null) return undefined;
  if (hosts.known !== undefined && bare(authority) === bare(hosts.known)) return "public";
  return OWN_MACHINE.test(url.hostname) || isAsked(url, authority, hosts.asked) ? "target" : undefined;
}

/** A host that was asked for with a port is that port of it; without one, any. */
function isAsked({ hostname }: URL, authority: string, asked: string): boolean {
  const url = URL.parse(`http://${asked}`);
  if (url?.hostname !== hostname) return false;
  return !/:\d+$/.test(asked) || portOf(authority) === portOf(asked);
}

/** Empty for the ports of http and https: a target may not know which it is asked by. */
function portOf(authority: string): string {
  return /:0*(\d+)$/.exec(authority)?.[1]?.replace(/^(?:80|443)$/, "") ?? "";
}

/** Without user information, and without the port that http and https have: a target may not know which it is. */
function bare(authority: string): string {
  return authority
    .replace(/^.*@/, "")
    .replace(/:(?:80|443)?$/, "")
    .toLowerCase();
}

/** More `..` than the request path has folders. */
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
