/** The Docker Engine of a runner, by dockerode over dialled streams: exec, events and logs included. */
import { createRequire } from "node:module";
import type { Agent } from "node:http";
import type Docker from "dockerode";
import type { Dial } from "../wire/streams/dial.ts";
import { createHttpAgent } from "./dial/http-agent.ts";

/**
 * Every request has a stream of its own. Only admins may dial a target that is named `docker`: it makes root of whoever
 * reaches it.
 *
 * @example
 * ```ts
 * const docker = createDockerClient(controlPlane.dial, "wolf-1");
 * for (const { Names } of await docker.listContainers()) console.log(Names[0]);
 * ```
 */
export function createDockerClient(dial: Dial, runner: string, target = "docker"): Docker {
  // The published types do not know `agent`, which docker-modem hands on to node.
  const options: Docker.DockerOptions & { agent: Agent } = {
    agent: createHttpAgent(dial, runner, target),
    protocol: "http",
    host: "docker", // dialled by name, whatever it says
    port: 80,
  };
  // It would mix DOCKER_HOST and its kin into them, and throws where that is no URL.
  const { DOCKER_HOST: ambient } = process.env;
  delete process.env["DOCKER_HOST"];
  try {
    return new (load())(options);
  } finally {
    if (ambient !== undefined) process.env["DOCKER_HOST"] = ambient;
  }
}

/** Not before it is needed: it brings SSH and gRPC along. */
function load(): typeof Docker {
  return createRequire(import.meta.url)("dockerode") as typeof Docker;
}
