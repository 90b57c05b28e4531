/**
 * A container's labels: `turnabout.runner=<id>`, `turnabout.target.<name>=<port>[;http=…]`, `turnabout.network=<name>`.
 * A target can only be a port: labels may come from an image, and a label must not lead out of its own container.
 */
import { isIP } from "node:net";
import { TurnaboutError } from "../../wire/errors.ts";
import { parseRunnerId, parseTargetName } from "../../wire/messages/names.ts";
import { checkRunners, parseTarget } from "../targets/targets.ts";
import type { Runner, Target } from "../targets/targets.ts";
import type { Container } from "./containers.ts";

export const RUNNER_LABEL = "turnabout.runner";
const TARGET_PREFIX = "turnabout.target.";
const NETWORK_LABEL = "turnabout.network";

/** @throws TurnaboutError `config_invalid` with what is wrong with the labels, or why there is no address */
export function runnerOf(container: Container): Runner {
  const id = parseRunnerId(container.labels.get(RUNNER_LABEL) ?? "");
  const host = addressOf(container);
  const targets = [...container.labels]
    .filter(([label]) => label.startsWith(TARGET_PREFIX))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => targetOf(label, value, host));
  if (targets.length === 0) {
    throw new TurnaboutError("config_invalid", `no target: add a label ${TARGET_PREFIX}NAME=PORT`);
  }
  checkRunners([{ id, targets }]);
  return { id, targets };
}

function targetOf(label: string, value: string, host: string): Target {
  const name = parseTargetName(label.slice(TARGET_PREFIX.length)); // before it becomes part of a message
  const [, port, options = ""] = /^(\d{1,5})(;.*)?$/.exec(value) ?? [];
  if (port === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new TurnaboutError(
      "config_invalid",
      `label ${label}=${JSON.stringify(value)}: use a port of the container, 1 to 65535`,
    );
  }
  const address = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  return parseTarget(`${name}=${address}${options}`);
}

/** Always the same one: the address in the labelled network, else in the first network by name that has one. */
function addressOf({ labels, networkMode, addresses }: Container): string {
  if (networkMode === "host") return "127.0.0.1";
  const network = labels.get(NETWORK_LABEL);
  if (network !== undefined) {
    const address = addresses.get(network);
    if (address !== undefined) return address;
    throw new TurnaboutError(
      "config_invalid",
      `label ${NETWORK_LABEL}=${network}: the container has no address in this network`,
    );
  }
  const [first] = [...addresses].toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (first !== undefined) return first[1];
  throw new TurnaboutError(
    "config_invalid",
    `the container has no address (network mode ${networkMode ?? "unknown"})`,
  );
}
