/**
 * Removes response fields that affect a browser's view of our origin. On the API routes many targets and our own API share
 * one origin, so a field that applies to an origin or a host, or decides who may read a response, would apply to all of
 * them. On the forward proxy each target is an origin of its own, and its fields pass.
 */
import { TOKEN_COOKIE } from "../auth/authenticate.ts";
import { REALM } from "../listener/error-response.ts";

/** With what one target could do to the others by each. */
const ORIGIN_WIDE: ReadonlySet<string> = new Set([
  "accept-ch", // asks browsers to tell every target more about the user
  "activate-storage-access", // to cookies of the origin, from a page of another
  "alt-svc", // sends later requests, tokens included, to another host or port
  "cache-group-invalidation", // removes what others have in the browser's cache
  "cache-groups",
  "clear-site-data", // logs the user out, and deletes what others have stored
  "critical-ch",
  "expect-ct",
  "idp-signin-status",
  "nel", // with report-to and reporting-endpoints: reports requests to a third party
  "no-vary-search", // lets a response stand for URLs with another query, which may lead to another target
  "observe-browsing-topics", // in the origin's name
  "origin-agent-cluster", // the first response decides for the whole origin
  "public-key-pins", // locks users out
  "public-key-pins-report-only",
  "report-to",
  "reporting-endpoints",
  "secure-session-challenge",
  "secure-session-registration", // binds the origin's cookies to a session of the target's
  "sec-session-challenge",
  "sec-session-registration",
  "service-worker-allowed", // a script below one target could respond for the whole origin
  "set-cookie2",
  "set-login", // tells the browser that the user is logged in, or out
  "shared-storage-write", // what other targets may read
  "strict-transport-security", // for the whole host, also where it has no TLS
  "timing-allow-origin", // lets other origins measure requests, as the fields below let them read responses
  "use-as-dictionary", // for any path of the origin
]);

const ORIGIN_WIDE_PREFIXES: readonly string[] = [
  "access-control-", // cross-origin reads, which may carry the user's cookie, are for us to allow, and we allow none
  "attribution-reporting-", // registers visits for advertisers, in the origin's name
];

export function isOriginWide(name: string): boolean {
  return ORIGIN_WIDE.has(name) || ORIGIN_WIDE_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** A challenge that names our realm: a caller would take its token for refused by us. */
export function isOwnChallenge(challenge: string): boolean {
  return OWN_REALM.test(challenge);
}

const OWN_REALM = new RegExp(String.raw`\brealm[\t ]*=[\t ]*"?${REALM}\b`, "i");

/**
 * Limits a target's cookies to its own route: `Path` is moved below it, `Domain` is removed. A cookie with the name of ours
 * is dropped, and one without a name, because its value would be read as a name when it is sent back.
 *
 * @param prefix path of the route that leads to the target, without a slash at the end
 */
export function limitedCookies(cookies: readonly string[], prefix: string): string[] {
  return cookies.flatMap((cookie) => limitedCookie(cookie, prefix) ?? []);
}

function limitedCookie(cookie: string, prefix: string): string | undefined {
  const [pair = "", ...attributes] = cookie.split(";");
  const equals = pair.indexOf("=");
  const name = equals < 0 ? "" : pair.slice(0, equals).trim();
  // `__Host-` cookies apply to a whole host; a browser rejects them with another path.
  if (name === "" || name === TOKEN_COOKIE || /^__host-/i.test(name)) return undefined;
  let path = "/";
  const kept: string[] = [];
  for (const attribute of attributes) {
    const [key = "", ...value] = attribute.split("=");
    const known = key.trim().toLowerCase();
    if (known === "domain") continue;
    if (known !== "path") kept.push(attribute);
    else path = value.join("=").trim();
  }
  return [pair, ...kept, ` Path=${limitedPath(path, prefix)}`].join(";");
}

/** A target that knows its prefix has written it itself. Cookie paths are compared as text, so dot segments do nothing. */
function limitedPath(path: string, prefix: string): string {
  if (path === prefix || path.startsWith(`${prefix}/`)) return path;
  return `${prefix}${path.startsWith("/") ? path : "/"}`;
}
