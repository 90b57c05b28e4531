/** What an engine's list of containers says, checked once: engines differ in what they leave out. */
import { TurnaboutError } from "../../wire/errors.ts";

export interface Container {
  id: string;
  /** For messages. */
  name: string;
  /** Unix seconds; 0 where the engine does not say. */
  createdAtS: number;
  labels: ReadonlyMap<string, string>;
  /** `host`, `none`, `container:<id>`, a network's name; undefined where the engine does not say (Podman's list). */
  networkMode: string | undefined;
  /** Addresses by network, those without one left out. */
  addresses: ReadonlyMap<string, string>;
}

/**
 * The running containers of `GET /containers/json`. An entry that makes no sense is left out.
 *
 * @throws TurnaboutError `target_protocol` if it is no list at all
 */
export function parseContainers(text: string): Container[] {
  const parsed = parseJson(text);
  if (!Array.isArray(parsed)) {
    throw new TurnaboutError("target_protocol", "docker: the list of containers is not a list");
  }
  return parsed.flatMap((value) => parseContainer(value) ?? []);
}

/** Of `GET /containers/{id}/json`. @throws TurnaboutError `target_protocol` if that is no JSON */
export function parseNetworkMode(text: string): string | undefined {
  return nonEmpty(record(record(parseJson(text))["HostConfig"])["NetworkMode"]);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TurnaboutError("target_protocol", "docker: an answer is not JSON", { cause });
  }
}

function parseContainer(value: unknown): Container | undefined {
  const container = record(value);
  const id = container["Id"];
  // A paused container answers nobody: it is as good as stopped.
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
