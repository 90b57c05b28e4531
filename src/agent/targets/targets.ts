/** Runners and their named targets, as they are written: nothing else can be reached through an agent. */
import { TurnaboutError } from "../../wire/errors.ts";
import { TARGET_HTTP } from "../../wire/messages/hello.ts";
import type { RunnerInfo, TargetHttp } from "../../wire/messages/hello.ts";
import { MAX_RUNNERS_PER_CONNECTION, MAX_TARGETS_PER_RUNNER } from "../../wire/limits.ts";
import { isTargetHost, MAX_PORT, parseRunnerId, parseTargetName } from "../../wire/messages/names.ts";

export type TargetAddress = { kind: "unix"; path: string } | { kind: "tcp"; host: string; port: number };

export interface Target {
  name: string;
  address: TargetAddress;
  /** How the target speaks HTTP. Default `auto`, for a target named `wolf` `1.0`: Wolf refuses chunked bodies. */
  http: TargetHttp;
  /**
   * `off`: redirects and other addresses in the target's header fields reach callers unchanged, and the target is not sent
   * the path of its route. Default: rewritten to the route.
   */
  rewrite?: "off" | undefined;
  /**
   * `HOST` or `HOST:PORT` by which the target knows itself, such as a virtual host: the `Host` of requests, and the host of
   * its redirects to itself. Without a port, any port of this host. Default `localhost`.
   */
  host?: string | undefined;
}

export interface Runner {
  id: string;
  targets: Target[];
}

/**
 * `unix:/path`, `unix:///path`, `host:port`, `[v6]:port`, `tcp://host:port` or `http://host[:port]`.
 *
 * @throws TurnaboutError `config_invalid` with the offending text
 */
export function parseTargetAddress(text: string): TargetAddress {
  const unix = /^unix:(?:\/\/)?(\/.+)$/.exec(text);
  if (unix?.[1] !== undefined) return { kind: "unix", path: unix[1] };
  const tcp =
    /^(?:(tcp|http):\/\/)?(?:\[([0-9a-fA-F:.]+(?:%[^\s%/[\]]+)?)\]|([^\s:/[\]]+))(?::(\d{1,5}))?\/?$/.exec(
      text,
    );
  const host = tcp?.[2] ?? tcp?.[3];
  const port = tcp?.[4] === undefined && tcp?.[1] === "http" ? 80 : Number(tcp?.[4]);
  if (host === undefined || !Number.isInteger(port) || port < 1 || port > MAX_PORT) {
    throw new TurnaboutError(
      "config_invalid",
      `target address ${JSON.stringify(text)}: use unix:/path or host:port`,
      { hint: "give unix:/run/app.sock, or 127.0.0.1:PORT for a port of this machine" },
    );
  }
  return { kind: "tcp", host, port };
}

/** As an operator writes it. */
export function addressText(address: TargetAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/**
 * `NAME=ADDRESS`, followed by options: `;http=1.0|1.1|2|auto` for the HTTP version, `;rewrite=off` to leave redirects as they
 * are, `;host=HOST[:PORT]` for the `Host` of requests.
 *
 * @throws TurnaboutError `config_invalid` with the offending text
 */
export function parseTarget(text: string): Target {
  const [spec = "", ...options] = text.split(";");
  const equals = spec.indexOf("=");
  if (equals < 1) {
    throw new TurnaboutError(
      "config_invalid",
      `target ${JSON.stringify(text)}: use NAME=ADDRESS, for example wolf=unix:/var/run/wolf/wolf.sock`,
    );
  }
  const name = parseTargetName(spec.slice(0, equals));
  let http: TargetHttp = defaultHttp(name);
  let isRewritten = true;
  let host: string | undefined;
  for (const option of options) {
    const version = TARGET_HTTP.find((known) => option === `http=${known}`);
    if (version !== undefined) http = version;
    else if (option.startsWith("host=")) host = option.slice("host=".length);
    else if (option === "rewrite=off" || option === "rewrite=on") isRewritten = option === "rewrite=on";
    else {
      throw new TurnaboutError("config_invalid", `target ${name}: unknown option ${JSON.stringify(option)}`);
    }
  }
  const address = parseTargetAddress(spec.slice(equals + 1));
  if (host !== undefined && !isTargetHost(host)) throw badHost(name, host);
  return {
    name,
    address,
    http,
    ...(!isRewritten && { rewrite: "off" }),
    ...(host !== undefined && { host }),
  };
}

function badHost(target: string, host: string): TurnaboutError {
  return new TurnaboutError(
    "config_invalid",
    `target ${target}: host ${JSON.stringify(host)}: use HOST or HOST:PORT, as in a Host field`,
  );
}

export function defaultHttp(targetName: string): TargetHttp {
  return targetName === "wolf" ? "1.0" : "auto";
}

/** @throws TurnaboutError `config_invalid` for a bad id, a duplicate or too many */
export function checkRunners(runners: readonly Runner[]): void {
  if (runners.length > MAX_RUNNERS_PER_CONNECTION) {
    throw new TurnaboutError("config_invalid", `more than ${MAX_RUNNERS_PER_CONNECTION} runners`);
  }
  const ids = new Set<string>();
  for (const runner of runners) {
    parseRunnerId(runner.id);
    if (ids.has(runner.id)) throw new TurnaboutError("config_invalid", `runner ${runner.id} is listed twice`);
    ids.add(runner.id);
    if (runner.targets.length > MAX_TARGETS_PER_RUNNER) {
      throw new TurnaboutError(
        "config_invalid",
        `runner ${runner.id}: more than ${MAX_TARGETS_PER_RUNNER} targets`,
      );
    }
    for (const { name, host } of runner.targets) {
      if (host !== undefined && !isTargetHost(host)) throw badHost(name, host);
    }
    const names = new Set<string>();
    for (const { name } of runner.targets) {
      parseTargetName(name);
      if (names.has(name)) {
        throw new TurnaboutError("config_invalid", `runner ${runner.id}: target ${name} is listed twice`, {
          hint: "give each target of a runner a name of its own",
        });
      }
      names.add(name);
    }
  }
}

/** A runner as it is served: the agent's own, or one that discovery has found. */
export interface ServedRunner extends Runner {
  discovered?: boolean | undefined;
}

/** A runner as the control plane sees it: names, never addresses. */
export function describeRunner(runner: ServedRunner): RunnerInfo {
  return {
    id: runner.id,
    targets: runner.targets.map(({ name, http, rewrite, host }) => ({
      name,
      http,
      ...(rewrite === "off" && { rewrite }),
      ...(host !== undefined && { host }),
    })),
    ...(runner.discovered === true && { discovered: true }),
  };
}
