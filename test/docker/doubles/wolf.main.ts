/** Wolf's double in Wolf's place: on its socket, with the Docker Engine beside it. */
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import { DockerLobbyContainers } from "./lobby-containers.ts";

const {
  WOLF_SOCKET_PATH: socketPath = "/var/run/wolf/wolf.sock",
  WOLF_DOCKER_SOCKET: docker = "/var/run/docker.sock",
  WOLF_SSE_KEEPALIVE_MS: sseKeepaliveMs = "15000",
} = process.env;

const containers = new DockerLobbyContainers(docker, (line) => console.error(`wolf: ${line}`));
const wolf = await createWolfDouble({ socketPath, containers, sseKeepaliveMs: Number(sseKeepaliveMs) });
console.error(`wolf: listens on ${socketPath}`);

let isEnding = false;
const end = (): void => {
  if (isEnding) return;
  isEnding = true;
  for (const lobby of wolf.state.lobbies) containers.stop(lobby);
  containers
    .close()
    .then(() => wolf.close())
    .then(
      () => process.exit(0),
      () => process.exit(1),
    );
};
process.on("SIGTERM", end);
process.on("SIGINT", end);
