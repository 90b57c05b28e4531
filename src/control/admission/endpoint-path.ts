/** Paths of the agent endpoint, and the runners that a request to it names. */
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_RUNNERS_PER_CONNECTION } from "../../wire/limits.ts";
import { isRunnerId, MAX_PORT } from "../../wire/messages/names.ts";
import {
  AGENT_ENDPOINT_PATH,
  ENDPOINT_RUNNER_PARAMETER,
  PTTH_UPGRADE_TOKEN,
  SHORT_ENDPOINT_PATH,
  WELL_KNOWN_ENDPOINT_PATH,
} from "../../wire/protocol.ts";

export class EndpointPaths {
  readonly #own: ReadonlySet<string>;
  readonly #wellKnown: readonly string[];

  /** @param basePath path before all of ours, without a trailing slash; usually empty */
  constructor(basePath: string) {
    this.#own = new Set([`${basePath}${AGENT_ENDPOINT_PATH}`, `${basePath}${SHORT_ENDPOINT_PATH}`]);
    // RFC 8615 has it at the root; a reverse proxy may forward only the base path.
    this.#wellKnown = [WELL_KNOWN_ENDPOINT_PATH, `${basePath}${WELL_KNOWN_ENDPOINT_PATH}`];
  }

  /** @param token of `Upgrade`, or `:protocol` */
  has(path: string, token: string | undefined): boolean {
    if (this.#own.has(path)) return true;
    return token === PTTH_UPGRADE_TOKEN && this.#wellKnown.some((prefix) => `${path}/`.startsWith(prefix));
  }
}

/**
 * By the query's `runnerid`, or behind the well-known path as a list of serialised origins (RFC 6454 §6.2) whose hosts are
 * the runners: `/.well-known/ptth/https%3A%2F%2Frunner-1,https%3A%2F%2Frunner-2/`.
 *
 * @throws TurnaboutError `bad_request` if there is none, or one that is not valid
 */
export function runnersNamed(url: string): string[] {
  const [path = "", query = ""] = url.split("?", 2);
  const runners = [...originHosts(path), ...new URLSearchParams(query).getAll(ENDPOINT_RUNNER_PARAMETER)];
  if (runners.length === 0 || runners.length > MAX_RUNNERS_PER_CONNECTION || !runners.every(isRunnerId)) {
    throw new TurnaboutError(
      "bad_request",
      `agent endpoint: ${ENDPOINT_RUNNER_PARAMETER} is missing or not valid`,
    );
  }
  return runners;
}

/** Whether a request to the endpoint names any. */
export function namesRunners(url: string): boolean {
  const [path = "", query = ""] = url.split("?", 2);
  return originHosts(path).length > 0 || new URLSearchParams(query).has(ENDPOINT_RUNNER_PARAMETER);
}

function originHosts(path: string): string[] {
  const at = path.indexOf(WELL_KNOWN_ENDPOINT_PATH);
  const list = at < 0 ? "" : path.slice(at + WELL_KNOWN_ENDPOINT_PATH.length).replace(/\/$/, "");
  if (list === "") return [];
  try {
    return decodeURIComponent(list).split(",").map(hostOf); // the comma may be percent-encoded, too
  } catch {
    return [""];
  }
}

/** Empty, which is no runner's id, for what is no origin. */
function hostOf(origin: string): string {
  const [, host = "", port = "0"] = /^https?:\/\/([^/:]+)(?::(\d{1,5}))?$/i.exec(origin) ?? [];
  return Number(port) <= MAX_PORT ? host.toLowerCase() : "";
}
