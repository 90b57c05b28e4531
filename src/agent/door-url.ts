/** Where the agent door is, from what an operator writes as the server's URL. */
import { TurnaboutError } from "../wire/errors.ts";
import { DOOR_PATH, DOOR_RUNNER_PARAMETER } from "../wire/protocol.ts";

const SCHEMES: Readonly<Record<string, "http:" | "https:">> = {
  "http:": "http:",
  "https:": "https:",
  "ws:": "http:",
  "wss:": "https:",
};

/**
 * `http`, `https`, `ws` or `wss`; with or without port, base path and the door's own path (`/api/v1/revdial` or the
 * shorter `/revdial` of older scripts).
 *
 * @throws TurnaboutError `config_invalid` with the offending text
 */
export function doorUrl(server: string, runnerIds: readonly string[] = []): URL {
  const url = URL.parse(server.includes("://") ? server : `http://${server}`);
  const protocol = url === null ? undefined : SCHEMES[url.protocol];
  if (url === null || protocol === undefined || url.hostname === "") {
    throw new TurnaboutError(
      "config_invalid",
      `server URL ${JSON.stringify(redactUrl(server))}: use http://HOST[:PORT][/BASE] or https://…`,
    );
  }
  const base = url.pathname.replace(/\/+$/, "").replace(/(\/api\/v1)?\/revdial$/, "");
  const door = new URL(`${protocol}//${url.host}`);
  door.pathname = base + DOOR_PATH;
  for (const id of runnerIds) door.searchParams.append(DOOR_RUNNER_PARAMETER, id);
  return door;
}

/** Without user, password and query: fit for a log line. */
export function redactUrl(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//").replace(/[?#].*$/, "");
}

/** Host without the brackets of an IPv6 literal, and the port with its scheme's default. */
export function hostAndPort(url: URL): { host: string; port: number } {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { host, port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port) };
}
