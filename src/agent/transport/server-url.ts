/** The URL of the agent endpoint, from the server URL that an operator writes. */
import { TurnaboutError } from "../../wire/errors.ts";
import { AGENT_ENDPOINT_PATH, ENDPOINT_RUNNER_PARAMETER } from "../../wire/protocol.ts";
import { MAX_SOCKET_PATH_BYTES } from "../limits.ts";
import { splitZone } from "../../wire/fields/url-zone.ts";

const SCHEMES: Readonly<Record<string, "http:" | "https:">> = {
  "http:": "http:",
  "https:": "https:",
  "ws:": "http:",
  "wss:": "https:",
};

/**
 * `unix:/path` or `unix:///path`: a relay's Unix socket in place of a host. The whole path is the socket's; a relay needs no
 * base path.
 *
 * @throws TurnaboutError `config_invalid` for a path that a socket cannot have
 */
export function socketPathOf(server: string): string | undefined {
  if (!/^unix:/i.test(server)) return undefined;
  const path = server.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
  if (!path.startsWith("/") || path.startsWith("//") || path.includes("\0")) {
    throw new TurnaboutError("config_invalid", `server ${JSON.stringify(server)}: use unix:/PATH`);
  }
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new TurnaboutError(
      "config_invalid",
      `server ${JSON.stringify(server)}: the path of a Unix socket has at most ${MAX_SOCKET_PATH_BYTES} bytes`,
    );
  }
  return path;
}

/**
 * Accepts `http`, `https`, `ws` and `wss`, with or without port, base path and the endpoint's own path (`/api/v1/revdial`, or
 * `/revdial` as in older scripts). User information is rejected. For a Unix socket ({@link socketPathOf}) the URL is
 * `http://localhost`.
 *
 * @throws TurnaboutError `config_invalid` with the offending text
 */
export function endpointUrl(server: string, runnerIds: readonly string[] = []): URL {
  const written = socketPathOf(server) === undefined ? splitZone(server).text : "http://localhost";
  const url = URL.parse(written.includes("://") ? written : `http://${written}`);
  const protocol = url === null ? undefined : SCHEMES[url.protocol];
  if (url === null || protocol === undefined || url.hostname === "") {
    throw new TurnaboutError(
      "config_invalid",
      `server URL ${JSON.stringify(redactText(server))}: use http://HOST[:PORT][/BASE], https://… or unix:/PATH`,
    );
  }
  if (url.username !== "" || url.password !== "") {
    throw new TurnaboutError(
      "config_invalid",
      `server URL ${JSON.stringify(`${url.protocol}//${url.host}`)}: it contains user information, which is not used`,
      { hint: "remove it: the agent authenticates with its token (--token-file) or a client certificate" },
    );
  }
  const base = url.pathname.replace(/\/+$/, "").replace(/(\/api\/v1)?\/revdial$/, "");
  const endpoint = new URL(`${protocol}//${url.host}`);
  endpoint.pathname = base + AGENT_ENDPOINT_PATH;
  for (const id of runnerIds) endpoint.searchParams.append(ENDPOINT_RUNNER_PARAMETER, id);
  return endpoint;
}

/** The zone in `http://[fe80::1%eth0]:8080`: used to connect, but not part of {@link endpointUrl}. */
export function zoneOf(server: string): string | undefined {
  return socketPathOf(server) === undefined ? splitZone(server).zone : undefined;
}

/** The URL without user, password and query, for log lines. */
export function redactUrl(url: string): string {
  return url.replace(/\/\/[^/?#]*@/, "//").replace(/[?#].*$/s, "");
}

/** The same for text that is not a URL, where user information may be anywhere before the last `@`. */
function redactText(text: string): string {
  return redactUrl(text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1"));
}

/** Host without the brackets of an IPv6 literal, and port; default is the scheme's port. */
export function hostAndPort(url: URL): { host: string; port: number } {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { host, port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port) };
}
