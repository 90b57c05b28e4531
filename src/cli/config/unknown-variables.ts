/** Variables of the environment that look like ours and are not: a misspelled one would be ignored silently. */
import type { Logger } from "../../wire/log.ts";
import { AGENT_OPTIONS } from "./agent-options.ts";
import { MAX_UNKNOWN_VARIABLES } from "./limits.ts";
import { nearest } from "./nearest.ts";
import { CONFIG_FLAG, variableOf } from "./option.ts";

const PREFIX = "TURNABOUT_";

/** Beside the options: of commands, of a process for the one that it starts, and of the images' start scripts (agents/). */
const OTHERS: readonly string[] = [
  "ADMIN_TOKEN",
  "AGENT",
  "ARGS",
  "CA_FILE",
  "CERT_FILE",
  "DISCOVERY",
  "DOCKER_TARGET",
  "DRAIN_S",
  "JSON",
  "KEY_FILE",
  "PROFILE",
  "STARTED_BY",
  "STORE",
  "TIMEOUT",
  "TOKEN",
];

/** Kubernetes sets these in every pod beside a Service whose name begins with `turnabout`. */
const SERVICE_LINK =
  /_SERVICE_(?:HOST|PORT(?:_\w+)?)$|^(?:\w+_)?PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?$/;
const OF_SERVICE = /^SERVICE_(?:HOST|PORT(?:_\w+)?)$/;

export interface UnknownVariable {
  name: string;
  hint: string;
}

export async function unknownVariables(env: Readonly<NodeJS.ProcessEnv>): Promise<UnknownVariable[]> {
  const names = Object.keys(env)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => name.slice(PREFIX.length))
    .filter((name) => !SERVICE_LINK.test(name) && !OF_SERVICE.test(name));
  const known = [CONFIG_FLAG, ...Object.keys(AGENT_OPTIONS)].map(variable).concat(OTHERS);
  if (names.every((name) => known.includes(name))) return [];
  const { SERVE_OPTIONS } = await import("./serve-options.ts"); // an agent hardly ever needs it
  const all = [...known, ...Object.keys(SERVE_OPTIONS).map(variable)];
  return names
    .filter((name) => !all.includes(name))
    .slice(0, MAX_UNKNOWN_VARIABLES)
    .map((name) => {
      const near = nearest(name, all);
      const hint =
        near === undefined ? "docs/configuration.md has every variable" : `did you mean ${PREFIX}${near}?`;
      return { name: `${PREFIX}${name}`, hint };
    });
}

/** Of an option, without the prefix, so that it does not count for what is near. */
function variable(option: string): string {
  return variableOf(option).slice(PREFIX.length);
}

/** In the log of a command that has one. */
export async function reportUnknownVariables(env: Readonly<NodeJS.ProcessEnv>, log: Logger): Promise<void> {
  for (const { name, hint } of await unknownVariables(env)) {
    log.warn({ variable: name, hint }, "unknown variable: it is not used");
  }
}
