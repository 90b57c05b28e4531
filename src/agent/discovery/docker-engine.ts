/**
 * What discovery needs of a Docker Engine (or Podman), with a bound on all of it: the labelled containers that run, and a
 * hint whenever something may have changed.
 */
import http from "node:http";
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { Deadline } from "../../wire/deadline.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { DOCKER_RESPONSE_TIMEOUT_MS, MAX_DOCKER_RESPONSE_BYTES } from "../limits.ts";
import type { TargetAddress } from "../targets/targets.ts";
import { parseContainers, parseNetworkMode } from "./containers.ts";
import type { Container } from "./containers.ts";
import { RUNNER_LABEL } from "./labels.ts";

export interface Engine {
  /** The labelled containers that run. @throws Error on any failure; at a deadline at the latest */
  list(signal: AbortSignal): Promise<Container[]>;
  /**
   * Follows the engine's events until their stream ends. Calls `subscribed` when the stream has begun, and `hint` with
   * every event; the content of events is ignored.
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

export async function openEngine(address: TargetAddress): Promise<Engine> {
  // A dynamic import, because it loads SSH and gRPC too, and most agents do not use it.
  const { default: DockerClient } = await import("dockerode");
  const docker = connect(DockerClient, address);
  /** Network modes that the list omits (Podman's), by container: they never change. */
  const modes = new Map<string, string>();

  async function list(owner: AbortSignal): Promise<Container[]> {
    using deadline = responseDeadline("docker list", owner);
    const { signal } = deadline;
    const stream = await request(docker, "/containers/json", { label: [RUNNER_LABEL] }, signal);
    const containers = parseContainers(await readText(stream, signal));
    for (const id of modes.keys()) if (!containers.some((container) => container.id === id)) modes.delete(id);
    for (const container of containers) {
      if (container.networkMode !== undefined || container.addresses.size > 0) continue;
      container.networkMode = modes.get(container.id) ?? (await inspectMode(container.id, signal));
      if (container.networkMode !== undefined) modes.set(container.id, container.networkMode);
    }
    return containers;
  }

  async function inspectMode(id: string, signal: AbortSignal): Promise<string | undefined> {
    const stream = await request(docker, `/containers/${encodeURIComponent(id)}/json`, {}, signal);
    return parseNetworkMode(await readText(stream, signal));
  }

  return {
    list,
    follow: async (owner, { subscribed, hint }) => {
      using deadline = responseDeadline("docker events", owner);
      const filters = { type: ["container", "network"], event: EVENTS };
      const stream = await request(docker, "/events", filters, deadline.signal);
      deadline.stopClock();
      subscribed();
      await untilEnd(stream, deadline.signal, hint);
    },
  };
}

function responseDeadline(label: string, signal: AbortSignal): Deadline {
  const timeoutMs = DOCKER_RESPONSE_TIMEOUT_MS;
  const onTimeout = (): TurnaboutError =>
    new TurnaboutError("target_timeout", `${label}: no response within ${timeoutMs} ms`);
  return new Deadline({ label, timeoutMs, signal, onTimeout });
}

/** dockerode prefers DOCKER_HOST to its options, and throws if that is not a URL. */
function connect(DockerClient: typeof Docker, address: TargetAddress): Docker {
  const { DOCKER_HOST: ambient } = process.env;
  delete process.env["DOCKER_HOST"];
  try {
    // The published types lack `agent`. Without keep-alive: an idle connection may lead to an engine that is gone.
    const options: Docker.DockerOptions & { agent: http.Agent } = {
      agent: new http.Agent({ keepAlive: false }),
      ...(address.kind === "unix"
        ? { socketPath: address.path }
        : { protocol: "http", host: address.host, port: address.port }),
    };
    return new DockerClient(options);
  } finally {
    if (ambient !== undefined) process.env["DOCKER_HOST"] = ambient;
  }
}

/** dockerode reads the body of a failed response without a limit. So every status is a success to it; ours is checked here. */
const EVERY_STATUS: Record<number, true> = Object.fromEntries(
  Array.from({ length: 500 }, (_, index) => [100 + index, true]),
);

/** The body of a `GET`, as a stream: dockerode's own calls have neither a size limit nor a timeout. */
async function request(
  docker: Docker,
  path: string,
  filters: Record<string, string[]>,
  signal: AbortSignal,
): Promise<Readable> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  docker.modem.dial(
    {
      path: `${path}?`,
      method: "GET",
      options: { filters },
      isStream: true,
      statusCodes: EVERY_STATUS,
      abortSignal: signal,
    },
    (error: unknown, response: unknown) => {
      if (error === null || error === undefined) resolve(response as IncomingMessage);
      else reject(toError(error));
    },
  );
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

async function readText(stream: Readable, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  await untilEnd(stream, signal, (chunk) => {
    bytes += chunk.length;
    if (bytes <= MAX_DOCKER_RESPONSE_BYTES) return void chunks.push(chunk);
    stream.destroy(new TurnaboutError("target_protocol", "docker: the response is too long"));
  });
  return Buffer.concat(chunks).toString("utf8");
}

/** Resolves at a clean end, and rejects otherwise. */
async function untilEnd(
  stream: Readable,
  signal: AbortSignal,
  onData: (chunk: Buffer) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => void stream.destroy(signal.reason as Error);
  stream.on("data", onData);
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
