/** Where the agent door is, from what an operator writes as the server's URL. */
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
 * `unix:/path` or `unix:///path`: a relay's Unix socket in place of a host. All of it is the socket's path; a base path
 * cannot be given, and a relay needs none.
 *
 * @throws TurnaboutError `config_invalid` for a path that no socket can have
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
 * `http`, `https`, `ws` or `wss`; with or without port, base path and the door's own path (`/api/v1/revdial` or the
 * shorter `/revdial` of older scripts); without user information. Behind a Unix socket ({@link socketPathOf}) it is `http://localhost`.
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
      `server URL ${JSON.stringify(`${url.protocol}//${url.host}`)}: user information in it is not used`,
      { hint: "take it out: the agent's credential is its token (--token-file) or a client certificate" },
    );
  }
  const base = url.pathname.replace(/\/+$/, "").replace(/(\/api\/v1)?\/revdial$/, "");
  const door = new URL(`${protocol}//${url.host}`);
  door.pathname = base + AGENT_ENDPOINT_PATH;
  for (const id of runnerIds) door.searchParams.append(ENDPOINT_RUNNER_PARAMETER, id);
  return door;
}

/** The zone in `http://[fe80::1%eth0]:8080`: where to connect, but no part of {@link endpointUrl}. */
export function zoneOf(server: string): string | undefined {
  return socketPathOf(server) === undefined ? splitZone(server).zone : undefined;
}

/** Without user, password and query: fit for a log line. */
export function redactUrl(url: string): string {
  return url.replace(/\/\/[^/?#]*@/, "//").replace(/[?#].*$/s, "");
}

/** The same for what is no URL, where user information may stand anywhere in front of the last `@`. */
function redactText(text: string): string {
  return redactUrl(text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, "$1"));
}

/** Host without the brackets of an IPv6 literal, and the port with its scheme's default. */
export function hostAndPort(url: URL): { host: string; port: number } {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { host, port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port) };
}
