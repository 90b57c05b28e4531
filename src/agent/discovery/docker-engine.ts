/**
 * What discovery needs of a Docker Engine (or Podman), with a bound on all of it: the labelled containers that run, and a
 * hint whenever something may have changed. Requests by node:http: redirects are not followed.
 */
import http from "node:http";
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { Deadline } from "../../wire/deadline.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import {
  DOCKER_INSPECT_TIMEOUT_MS,
  DOCKER_INSPECTIONS,
  DOCKER_POLL_PAUSE_MS,
  DOCKER_RESPONSE_TIMEOUT_MS,
  MAX_DOCKER_CONTAINER_BYTES,
  MAX_DOCKER_RESPONSE_BYTES,
} from "../limits.ts";
import type { TargetAddress } from "../targets/targets.ts";
import { limitInformational } from "../transport/informational.ts";
import { ContainerListReader, parseNetworkMode } from "./containers.ts";
import type { Container, ContainerList } from "./containers.ts";
import { RUNNER_LABEL } from "./labels.ts";

export interface Engine {
  /** The labelled containers that run. @throws Error on any failure; at a deadline at the latest */
  list(signal: AbortSignal): Promise<ContainerList>;
  /**
   * Follows the engine's events until their stream ends. Calls `subscribed` when the stream has begun, and `hint` with
   * events; their content is ignored.
   *
   * @throws Error if the stream could not be opened, or has failed
   */
  follow(signal: AbortSignal, on: { subscribed: () => void; hint: () => void }): Promise<void>;
}

/** Docker's and Podman's names of events. An engine ignores those that it does not know. */
const EVENTS = [
  "start",
  "restart",
  "die",
  "died",
  "stop",
  "kill",
  "pause",
  "unpause",
  "destroy",
  "remove",
  "cleanup",
].concat(["rename", "connect", "disconnect"]);

export function openEngine(address: TargetAddress): Engine {
  /** Network modes that the list omits (Podman's), by container: they never change. */
  const modes = new Map<string, string>();

  async function list(owner: AbortSignal): Promise<ContainerList> {
    using deadline = responseDeadline("docker list", DOCKER_RESPONSE_TIMEOUT_MS, owner);
    const { signal } = deadline;
    const stream = await get(address, "/containers/json", { label: [RUNNER_LABEL] }, signal);
    const found = await readList(stream, signal);
    await addModes(found.containers, signal);
    return found;
  }

  async function addModes(containers: readonly Container[], owner: AbortSignal): Promise<void> {
    const present = new Set(containers.map(({ id }) => id));
    for (const id of modes.keys()) if (!present.has(id)) modes.delete(id);
    const unclear = containers.filter(
      ({ networkMode, addresses }) => networkMode === undefined && addresses.size === 0,
    );
    for (const container of unclear) container.networkMode = modes.get(container.id);
    const unknown = unclear.filter(({ networkMode }) => networkMode === undefined);
    if (unknown.length === 0) return;
    using deadline = responseDeadline("docker inspect", DOCKER_INSPECT_TIMEOUT_MS, owner);
    const inspections = unknown.slice(0, DOCKER_INSPECTIONS).map(async (container) => {
      container.networkMode = await inspectMode(container.id, deadline.signal);
      if (container.networkMode !== undefined) modes.set(container.id, container.networkMode);
    });
    // One that fails has no address for now, and is inspected again.
    await Promise.allSettled(inspections);
  }

  async function inspectMode(id: string, signal: AbortSignal): Promise<string | undefined> {
    const stream = await get(address, `/containers/${encodeURIComponent(id)}/json`, {}, signal);
    const chunks: Buffer[] = [];
    await readUpTo(MAX_DOCKER_CONTAINER_BYTES, stream, signal, (chunk) => chunks.push(chunk));
    return parseNetworkMode(Buffer.concat(chunks).toString("utf8"));
  }

  return {
    list,
    follow: async (owner, { subscribed, hint }) => {
      using deadline = responseDeadline("docker events", DOCKER_RESPONSE_TIMEOUT_MS, owner);
      const filters = { type: ["container", "network"], event: EVENTS };
      const stream = await get(address, "/events", filters, deadline.signal);
      deadline.stopClock();
      subscribed();
      let timer: NodeJS.Timeout | undefined;
      // Read no faster than hints are followed: a flood of events waits in the engine.
      const onData = (): void => {
        hint();
        stream.pause();
        timer = setTimeout(() => stream.resume(), DOCKER_POLL_PAUSE_MS);
      };
      try {
        await untilEnd(stream, deadline.signal, onData);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

async function readList(stream: Readable, signal: AbortSignal): Promise<ContainerList> {
  const reader = new ContainerListReader();
  const push = (chunk: Buffer): void => {
    reader.push(chunk);
    if (reader.isFull) stream.destroy();
  };
  try {
    await readUpTo(MAX_DOCKER_RESPONSE_BYTES, stream, signal, push);
  } catch (error) {
    if (!reader.isFull) throw error;
  }
  return reader.end();
}

function responseDeadline(label: string, timeoutMs: number, signal: AbortSignal): Deadline {
  const onTimeout = (): TurnaboutError =>
    new TurnaboutError("target_timeout", `${label}: no response within ${timeoutMs} ms`);
  return new Deadline({ label, timeoutMs, signal, onTimeout });
}

/** The body of a `GET`, as a stream. Any status but 200 is an error. */
async function get(
  address: TargetAddress,
  path: string,
  filters: Record<string, string[]>,
  signal: AbortSignal,
): Promise<Readable> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = http.get({
    ...(address.kind === "unix" ? { socketPath: address.path } : { host: address.host, port: address.port }),
    path: `${path}?filters=${encodeURIComponent(JSON.stringify(filters))}`,
    headers: { host: "docker", accept: "application/json" },
    agent: false, // a kept connection may lead to an engine that is gone
  });
  const onAbort = (): void => {
    reject(signal.reason as Error);
    request.destroy();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  limitInformational(request);
  request.on("error", reject); // permanently
  request.on("response", resolve);
  request.on("close", () => {
    reject(new TurnaboutError("target_closed", `docker GET ${path}: closed without a response`));
  });
  try {
    const response = await promise;
    response.on("error", () => {}); // permanently
    if (response.statusCode === 200) return response;
    response.destroy();
    throw new TurnaboutError("target_protocol", `docker GET ${path}: responded with ${response.statusCode}`);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function readUpTo(
  maxBytes: number,
  stream: Readable,
  signal: AbortSignal,
  onData: (chunk: Buffer) => void,
): Promise<void> {
  let bytes = 0;
  await untilEnd(stream, signal, (chunk) => {
    bytes += chunk.length;
    if (bytes <= maxBytes) return onData(chunk);
    stream.destroy(new TurnaboutError("target_protocol", "docker: the response is too long"));
  });
}

/** Resolves at a clean end, and rejects otherwise. */
async function untilEnd(
  stream: Readable,
  signal: AbortSignal,
  onData: (chunk: Buffer) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const guard = new Guard((error) => stream.destroy(error));
  const onAbort = (): void => void stream.destroy(signal.reason as Error);
  stream.on("data", guard.wrap(onData));
  stream.once("error", reject);
  stream.once("end", resolve);
  stream.once("close", () => {
    reject(new TurnaboutError("target_closed", "docker: the engine closed the connection"));
  });
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
