/**
 * What a target may say to a browser about our origin: nothing. On the API routes many targets and our own API are one
 * origin to a browser, so a field that holds for an origin, for a host or for whoever may read it would hold for all of
 * them. On the forward proxy each target is an origin of its own, and its fields are its own business.
 */
import { TOKEN_COOKIE } from "../auth/authenticate.ts";

/** Each with what one target could do with it to everything else here. */
const ORIGIN_WIDE: ReadonlySet<string> = new Set([
  "accept-ch", // asks browsers to tell every target more about the user
  "alt-svc", // sends later requests, tokens included, to another host or port
  "clear-site-data", // logs the user out, and deletes what others have stored
  "critical-ch",
  "expect-ct",
  "nel", // with report-to and reporting-endpoints: tells a third party who asks for what
  "origin-agent-cluster", // decides for the whole origin, whoever comes first
  "public-key-pins", // locks users out
  "public-key-pins-report-only",
  "report-to",
  "reporting-endpoints",
  "secure-session-registration", // binds the origin's cookies to a session of the target's
  "sec-session-registration",
  "service-worker-allowed", // a script below one target could answer for the whole origin
  "set-cookie2",
  "set-login", // tells the browser that the user is logged in, or out
  "strict-transport-security", // for the whole host, also where it has no TLS
  "use-as-dictionary", // for any path of the origin
]);

/** Who may read answers across origins, with the user's cookie at that, is ours to say, and we allow nobody. */
const CROSS_ORIGIN = "access-control-";

export function isOriginWide(name: string): boolean {
  return ORIGIN_WIDE.has(name) || name.startsWith(CROSS_ORIGIN);
}

/**
 * A target's cookies, for its own route only: `Path` is put below it where it is not there already, `Domain` goes. None
 * by the name of ours, and none without a name, because what follows would be read as a name when it comes back.
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
  // `__Host-` cookies are for a whole host, and a browser takes none with another path.
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

/** A target that knows its prefix has written it itself. Paths of cookies are compared as they are: dots climb nowhere. */
function limitedPath(path: string, prefix: string): string {
  if (path === prefix || path.startsWith(`${prefix}/`)) return path;
  return `${prefix}${path.startsWith("/") ? path : "/"}`;
}
