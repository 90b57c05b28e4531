/** Starts the containers of lobbies on a Docker Engine, as Wolf does: image, environment, mounts, and the rest as JSON. */
import Docker from "dockerode";
import type { JsonObject } from "../../../src/demo/wolf/fields.ts";
import type { LobbyContainers } from "../../../src/demo/wolf/lobby-containers.ts";
import type { WolfLobby } from "../../../src/demo/wolf/state.ts";

const STOP_TIMEOUT_S = 5;

export class DockerLobbyContainers implements LobbyContainers {
  readonly #docker: Docker;
  readonly #log: (line: string) => void;
  /** What is under way for a lobby: its stop waits for its start. */
  readonly #work = new Map<string, Promise<void>>();

  constructor(socketPath: string, log: (line: string) => void) {
    this.#docker = new Docker({ socketPath });
    this.#log = log;
  }

  start(lobby: WolfLobby): void {
    if (lobby.runner["type"] !== "docker") return;
    this.#enqueue(lobby, async () => {
      const name = containerName(lobby);
      await this.#remove(name); // of a Wolf that was killed
      const container = await this.#docker.createContainer({ name, ...creation(lobby.runner) });
      await container.start();
      this.#log(`${name} has been started`);
    });
  }

  stop(lobby: WolfLobby): void {
    if (lobby.runner["type"] !== "docker") return;
    this.#enqueue(lobby, () => this.#remove(containerName(lobby)));
  }

  /** Resolves when nothing is under way. */
  async close(): Promise<void> {
    await Promise.all(this.#work.values());
  }

  #enqueue(lobby: WolfLobby, task: () => Promise<void>): void {
    const before = this.#work.get(lobby.id) ?? Promise.resolve();
    const work = before.then(task).catch((error: unknown) => {
      this.#log(`${containerName(lobby)}: ${error instanceof Error ? error.message : String(error)}`);
    });
    this.#work.set(lobby.id, work);
    void work.then(() => {
      if (this.#work.get(lobby.id) === work) this.#work.delete(lobby.id);
    });
  }

  async #remove(name: string): Promise<void> {
    const container = this.#docker.getContainer(name);
    try {
      await container.stop({ t: STOP_TIMEOUT_S });
    } catch (error) {
      if (!hasStatus(error, 304, 404)) throw error;
    }
    try {
      await container.remove({ force: true, v: true });
      this.#log(`${name} has been removed`);
    } catch (error) {
      if (!hasStatus(error, 404)) throw error;
    }
  }
}

function containerName({ id, runner }: WolfLobby): string {
  return `${String(runner["name"])}_${id}`;
}

/** `base_create_json` is what Wolf hands over as it is; what it adds itself stands beside it. */
function creation(runner: JsonObject): Docker.ContainerCreateOptions {
  const { base_create_json: json } = runner;
  const base = JSON.parse(typeof json === "string" ? json : "{}") as Docker.ContainerCreateOptions;
  return {
    ...base,
    Image: String(runner["image"]),
    Env: [...(base.Env ?? []), ...strings(runner["env"])],
    HostConfig: {
      ...base.HostConfig,
      Binds: [...(base.HostConfig?.Binds ?? []), ...strings(runner["mounts"])],
    },
  };
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function hasStatus(error: unknown, ...statuses: number[]): boolean {
  return statuses.includes((error as { statusCode?: number }).statusCode ?? 0);
}
