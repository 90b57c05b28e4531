/** The list of containers, parsed and checked. Docker and Podman differ in the members that they leave out. */
import { parseBoundedJson } from "../../wire/messages/bounded-json.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import {
  MAX_DOCKER_CONTAINER_BYTES,
  MAX_DOCKER_CONTAINERS,
  MAX_DOCKER_ID_LENGTH,
  MAX_DOCKER_LABEL_LENGTH,
} from "../limits.ts";
import { ArrayItems } from "./array-items.ts";

export interface Container {
  id: string;
  /** For log lines. */
  name: string;
  /** Unix seconds; 0 if the engine omits it. */
  createdAtS: number;
  /** Ours only. */
  labels: ReadonlyMap<string, string>;
  /** `host`, `none`, `container:<id>`, a network's name; undefined if the engine omits it (Podman's list). */
  networkMode: string | undefined;
  /** Addresses by network, as the engine names them; networks without an address are omitted. */
  addresses: ReadonlyMap<string, string>;
}

/** A container that is not announced, and why. */
export interface Problem {
  container: string;
  reason: string;
}

export interface ContainerList {
  containers: Container[];
  problems: Problem[];
}

/** All labels that are ours begin with it. */
export const LABEL_PREFIX = "turnabout.";

/** Maximum time value of a `Date`, in seconds. */
const MAX_TIME_S = 8.64e12;

/**
 * Reads `GET /containers/json` as it arrives. Containers that do not run and malformed entries are omitted; one that is too
 * large is a problem of its own.
 */
export class ContainerListReader {
  readonly #list: ContainerList = { containers: [], problems: [] };
  #seen = 0;
  readonly #items = new ArrayItems(MAX_DOCKER_CONTAINER_BYTES, {
    item: (text) => {
      if (!this.#count()) return;
      const container = parseContainer(text);
      if (container !== undefined) this.#list.containers.push(container);
    },
    tooLong: (start) => {
      if (!this.#count()) return;
      const reason = `the engine's description of it has more than ${MAX_DOCKER_CONTAINER_BYTES} bytes: shorten its labels`;
      this.#list.problems.push({ container: nameIn(start), reason });
    },
  });

  /** There are more containers than are looked at; the rest need not be read. */
  get isFull(): boolean {
    return this.#seen > MAX_DOCKER_CONTAINERS;
  }

  /** @throws TurnaboutError `target_protocol` if it is not a list */
  push(chunk: Buffer): void {
    this.#items.push(chunk);
  }

  /** @throws TurnaboutError `target_protocol` if the list is not complete */
  end(): ContainerList {
    if (!this.isFull) this.#items.end();
    return this.#list;
  }

  #count(): boolean {
    this.#seen += 1;
    if (this.#seen === MAX_DOCKER_CONTAINERS + 1) {
      const reason = `the engine lists more than ${MAX_DOCKER_CONTAINERS} containers; the others are not looked at`;
      this.#list.problems.push({ container: "", reason });
    }
    return !this.isFull;
  }
}

/** Parses `GET /containers/{id}/json`. @throws TurnaboutError `target_protocol` if it is not JSON */
export function parseNetworkMode(text: string): string | undefined {
  try {
    return nonEmpty(record(record(parseBoundedJson(text))["HostConfig"])["NetworkMode"]);
  } catch (cause) {
    throw new TurnaboutError("target_protocol", "docker: the response is not JSON", { cause });
  }
}

function parseContainer(text: string): Container | undefined {
  let container: Record<string, unknown>;
  try {
    container = record(parseBoundedJson(text));
  } catch {
    return undefined;
  }
  const id = container["Id"];
  // A paused container does not respond, as a stopped one.
  if (typeof id !== "string" || id === "" || container["State"] !== "running") return undefined;
  if (id.length > MAX_DOCKER_ID_LENGTH) return undefined;
  const names = container["Names"];
  const first: unknown = Array.isArray(names) ? names[0] : undefined;
  const created = container["Created"];
  return {
    id,
    name: typeof first === "string" ? shortName(first) : id.slice(0, 12),
    createdAtS: typeof created === "number" && created >= 0 && created <= MAX_TIME_S ? created : 0,
    labels: new Map(ownLabels(container["Labels"])),
    networkMode: nonEmpty(record(container["HostConfig"])["NetworkMode"]),
    addresses: new Map(
      Object.entries(record(record(container["NetworkSettings"])["Networks"])).flatMap(([name, network]) => {
        const address = addressIn(record(network));
        return address === undefined ? [] : [[name, address]];
      }),
    ),
  };
}

/** The name of a container whose description was cut, or its id. */
function nameIn(start: string): string {
  const name = /"Names":\["([^"\\]+)"/.exec(start)?.[1];
  return name === undefined ? (/"Id":"(\w{1,12})/.exec(start)?.[1] ?? "") : shortName(name);
}

function shortName(name: string): string {
  return name.replace(/^\//, "").slice(0, MAX_DOCKER_ID_LENGTH);
}

function addressIn(network: Record<string, unknown>): string | undefined {
  return nonEmpty(network["IPAddress"]) ?? nonEmpty(network["GlobalIPv6Address"]);
}

function nonEmpty(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A value that is too long is cut to one more than the limit, for {@link MAX_DOCKER_LABEL_LENGTH} to be checked. */
function ownLabels(value: unknown): [string, string][] {
  return Object.entries(record(value)).flatMap(([name, text]): [string, string][] =>
    name.startsWith(LABEL_PREFIX) && typeof text === "string"
      ? [[name.slice(0, MAX_DOCKER_LABEL_LENGTH + 1), text.slice(0, MAX_DOCKER_LABEL_LENGTH + 1)]]
      : [],
  );
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
