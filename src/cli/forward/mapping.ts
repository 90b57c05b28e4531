/** What `turnabout forward` maps: a local port or Unix socket to a runner's target. */
import net from "node:net";
import { isRunnerId, isTargetName } from "../../wire/messages/names.ts";
import type { Destination } from "../../wire/messages/names.ts";
import { UsageError } from "../command.ts";

export interface Mapping {
  /** For net.Server.listen(). */
  listen: { host: string; port: number } | { path: string };
  destination: Destination;
}

const FORM = "use [BIND:]PORT=RUNNER/TARGET or unix:/PATH=RUNNER/TARGET, such as 5432=db-1/postgres";

/** `5432=db-1/postgres`, `0.0.0.0:5432=…`, `[::1]:5432=…`, `unix:/run/db.sock=…`. @throws UsageError */
export function parseMapping(text: string): Mapping {
  const at = text.lastIndexOf("=");
  if (at === -1) throw new UsageError(`${text}: no mapping`, FORM);
  return {
    listen: parseListen(text.slice(0, at), text),
    destination: parseDestination(text.slice(at + 1), FORM),
  };
}

function parseListen(local: string, text: string): Mapping["listen"] {
  if (local.startsWith("unix:/")) return { path: local.slice("unix:".length) };
  const [, bind, port = ""] = /^(?:(\[[^\]]+\]|[^:]*):)?(\d{1,5})$/.exec(local) ?? [];
  const number = Number(port);
  if (port === "" || number > 65_535)
    throw new UsageError(`${text}: ${JSON.stringify(local)} is no port`, FORM);
  const host = bind?.replace(/^\[|\]$/g, "") ?? "127.0.0.1";
  if (bind?.startsWith("[") === true && !net.isIPv6(host)) {
    throw new UsageError(`${text}: ${bind} is no IPv6 address`, FORM);
  }
  return { host: host === "" ? "127.0.0.1" : host, port: number };
}

/** `RUNNER/TARGET/path?query`; `path` begins with a slash. @throws UsageError */
export function parseTargetUrl(url: string): { destination: Destination; path: string } {
  const [, name = url, rest = ""] = /^([^/?#]*\/[^/?#]*)(.*)$/s.exec(url) ?? [];
  const [runner = "", target = ""] = name.split("/");
  if (!isRunnerId(runner) || !isTargetName(target)) {
    throw new UsageError(
      `${JSON.stringify(url)}: not the URL of a target`,
      "use RUNNER/TARGET/path, such as host-1/web/; `turnabout status` lists runners and targets",
    );
  }
  return { destination: { runner, target }, path: rest.startsWith("/") ? rest : `/${rest}` };
}

/** `RUNNER/TARGET`. @throws UsageError */
export function parseDestination(
  text: string,
  hint = "use RUNNER/TARGET, as `turnabout status` lists them",
): Destination {
  const [runner = "", target = "", ...more] = text.split("/");
  if (more.length === 0 && isRunnerId(runner) && isTargetName(target)) return { runner, target };
  throw new UsageError(`${JSON.stringify(text)}: not a target`, hint);
}

export function describeListen(listen: Mapping["listen"]): string {
  if ("path" in listen) return `unix:${listen.path}`;
  return `${net.isIPv6(listen.host) ? `[${listen.host}]` : listen.host}:${listen.port}`;
}
