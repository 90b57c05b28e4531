/** The list of containers, parsed and checked. Docker and Podman differ in the members that they leave out. */
import { TurnaboutError } from "../../wire/errors.ts";

export interface Container {
  id: string;
  /** For log lines. */
  name: string;
  /** Unix seconds; 0 if the engine omits it. */
  createdAtS: number;
  labels: ReadonlyMap<string, string>;
  /** `host`, `none`, `container:<id>`, a network's name; undefined if the engine omits it (Podman's list). */
  networkMode: string | undefined;
  /** Addresses by network; networks without an address are omitted. */
  addresses: ReadonlyMap<string, string>;
}

/**
 * Parses `GET /containers/json`. Containers that do not run and malformed entries are omitted.
 *
 * @throws TurnaboutError `target_protocol` if it is not a list
 */
export function parseContainers(text: string): Container[] {
  const parsed = parseJson(text);
  if (!Array.isArray(parsed)) {
    throw new TurnaboutError("target_protocol", "docker: the list of containers is not an array");
  }
  return parsed.flatMap((value) => parseContainer(value) ?? []);
}

/** Parses `GET /containers/{id}/json`. @throws TurnaboutError `target_protocol` if it is not JSON */
export function parseNetworkMode(text: string): string | undefined {
  return nonEmpty(record(record(parseJson(text))["HostConfig"])["NetworkMode"]);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TurnaboutError("target_protocol", "docker: the response is not JSON", { cause });
  }
}

function parseContainer(value: unknown): Container | undefined {
  const container = record(value);
  const id = container["Id"];
  // A paused container does not respond, as a stopped one.
  if (typeof id !== "string" || id === "" || container["State"] !== "running") return undefined;
  const names = container["Names"];
  const first: unknown = Array.isArray(names) ? names[0] : undefined;
  const created = container["Created"];
  return {
    id,
    name: typeof first === "string" ? first.replace(/^\//, "") : id.slice(0, 12),
    createdAtS: typeof created === "number" ? created : 0,
    labels: new Map(texts(container["Labels"])),
    networkMode: nonEmpty(record(container["HostConfig"])["NetworkMode"]),
    addresses: new Map(
      Object.entries(record(record(container["NetworkSettings"])["Networks"])).flatMap(([name, network]) => {
        const address = addressIn(record(network));
        return address === undefined ? [] : [[name, address]];
      }),
    ),
  };
}

function addressIn(network: Record<string, unknown>): string | undefined {
  return nonEmpty(network["IPAddress"]) ?? nonEmpty(network["GlobalIPv6Address"]);
}

function nonEmpty(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function texts(value: unknown): [string, string][] {
  return Object.entries(record(value)).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}
