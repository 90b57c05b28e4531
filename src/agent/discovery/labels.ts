/**
 * A container's labels: `turnabout.runner=<id>`, `turnabout.target.<name>=<port>[;http=…]`, `turnabout.network=<name>`.
 * A target can only be a port: labels may come from an image, and a label must not lead out of its own container.
 */
import { isIP } from "node:net";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_TARGETS_PER_RUNNER } from "../../wire/limits.ts";
import { MAX_PORT, parseRunnerId, parseTargetName } from "../../wire/messages/names.ts";
import { MAX_DOCKER_LABEL_LENGTH } from "../limits.ts";
import { checkRunners, parseTarget } from "../targets/targets.ts";
import type { Runner, Target } from "../targets/targets.ts";
import { addressProblem } from "./container-address.ts";
import { LABEL_PREFIX } from "./containers.ts";
import type { Container } from "./containers.ts";

export const RUNNER_LABEL: string = `${LABEL_PREFIX}runner`;
const TARGET_PREFIX = `${LABEL_PREFIX}target.`;
const NETWORK_LABEL = `${LABEL_PREFIX}network`;

export interface LabelOptions {
  /** Containers in the host's network are announced: their labels can name any port of this host. */
  hostNetwork: boolean;
}

/** @throws TurnaboutError `config_invalid` with what is wrong with the labels, or why there is no address */
export function runnerOf(container: Container, options: LabelOptions): Runner {
  const { labels } = container;
  const long = [...labels].find(
    ([label, value]) => label.length > MAX_DOCKER_LABEL_LENGTH || value.length > MAX_DOCKER_LABEL_LENGTH,
  );
  if (long !== undefined) {
    const [label] = long;
    throw invalid(`label ${label.slice(0, 64)}: longer than ${MAX_DOCKER_LABEL_LENGTH} characters`);
  }
  const id = parseRunnerId(labels.get(RUNNER_LABEL) ?? "");
  const host = addressOf(container, options);
  const named = [...labels].filter(([label]) => label.startsWith(TARGET_PREFIX));
  if (named.length > MAX_TARGETS_PER_RUNNER) {
    throw invalid(`runner ${id}: more than ${MAX_TARGETS_PER_RUNNER} targets`);
  }
  const targets = named
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, value]) => targetOf(label, value, host));
  if (targets.length === 0) throw invalid(`no target: add a label ${TARGET_PREFIX}NAME=PORT`);
  checkRunners([{ id, targets }]);
  return { id, targets };
}

function targetOf(label: string, value: string, host: string): Target {
  const name = parseTargetName(label.slice(TARGET_PREFIX.length)); // before it becomes part of a message
  const [, port, options = ""] = /^(\d{1,5})(;.*)?$/.exec(value) ?? [];
  if (port === undefined || Number(port) < 1 || Number(port) > MAX_PORT) {
    throw invalid(`label ${label}=${JSON.stringify(value)}: use a port of the container, 1 to ${MAX_PORT}`);
  }
  const address = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
  return parseTarget(`${name}=${address}${options}`);
}

/** Always the same one: the address in the labelled network, else in the first network by name that has one. */
function addressOf({ labels, networkMode, addresses }: Container, { hostNetwork }: LabelOptions): string {
  if (networkMode === "host") {
    if (hostNetwork) return "127.0.0.1";
    throw invalid(
      "it is in the host's network, where a label can name any port of this host: allow it with --discover-host-network",
    );
  }
  const network = labels.get(NETWORK_LABEL);
  const [first] = [...addresses].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const address = network === undefined ? first?.[1] : addresses.get(network);
  if (address === undefined && network !== undefined) {
    throw invalid(`label ${NETWORK_LABEL}=${network}: the container has no address in this network`);
  }
  if (address === undefined) {
    throw invalid(`the container has no address (network mode ${networkMode?.slice(0, 64) ?? "unknown"})`);
  }
  const problem = addressProblem(address);
  if (problem === undefined) return address;
  throw invalid(`its address ${JSON.stringify(address.slice(0, 64))} is not a container's: ${problem}`);
}

function invalid(message: string): TurnaboutError {
  return new TurnaboutError("config_invalid", message);
}
