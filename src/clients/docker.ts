/**
 * `turnabout/docker`: the Docker Engine of a runner, as a dockerode over dialled streams, including exec, events and logs. An entry of
 * its own, because dockerode is an optional peer dependency: it brings SSH and gRPC along, and a native build.
 */
import type { Agent, ClientRequest } from "node:http";
import Docker from "dockerode";
import type { Dial } from "../wire/streams/dial.ts";
import { createHttpAgent } from "./dial/http-agent.ts";

/**
 * Every request has its own stream. Only admins may dial a target with the name `docker`, because access to it is root
 * access.
 *
 * @example
 * ```ts
 * const docker = createDockerClient(controlPlane.dial, "wolf-1");
 * for (const { Names } of await docker.listContainers()) console.log(Names[0]);
 * ```
 */
export function createDockerClient(dial: Dial, runner: string, target = "docker"): Docker {
  // The published types lack `agent`, which docker-modem passes to node.
  const options: Docker.DockerOptions & { agent: Agent } = {
    agent: withoutRedirects(createHttpAgent(dial, runner, target)),
    protocol: "http",
    host: "docker", // not used: the agent dials the target
    port: 80,
  };
  // dockerode would apply DOCKER_HOST and related variables, and throws if that is not a URL.
  const { DOCKER_HOST: ambient } = process.env;
  delete process.env["DOCKER_HOST"];
  try {
    return new Docker(options);
  } finally {
    if (ambient !== undefined) process.env["DOCKER_HOST"] = ambient;
  }
}

interface RequestingAgent {
  addRequest(request: ClientRequest, ...rest: unknown[]): void;
}

/**
 * docker-modem follows each `Location`: it would send a request from this machine, outside the tunnel, to where a hostile
 * engine wants it, and end the process where that fails. It does not see one here: the caller gets the redirect as an error.
 */
function withoutRedirects(agent: Agent): Agent {
  const requesting = agent as Agent & RequestingAgent; // which node calls for each request, and does not document
  const addRequest = requesting.addRequest.bind(agent);
  const addWithoutRedirects: typeof addRequest = (request, ...rest) => {
    request.prependListener("response", ({ headers }) => {
      delete headers.location;
    });
    addRequest(request, ...rest);
  };
  requesting.addRequest = addWithoutRedirects;
  return agent;
}
