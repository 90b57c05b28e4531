/**
 * The sandboxes of the demo's sessions, in place of Wolf's containers: follows Wolf's lobby events, and runs an agent with
 * the issued token for each lobby. All of them show the demo's one screen.
 */
import { createAgent } from "../agent/agent.ts";
import type { Agent } from "../agent/agent.ts";
import { createWolfClient, wolfOverUnixSocket } from "../clients/wolf/client.ts";
import type { WolfEventStream } from "../clients/wolf/events.ts";
import { toError } from "../wire/errors.ts";
import type { Logger } from "../wire/log.ts";

export interface LobbySandboxesOptions {
  wolfSocket: string;
  /** The control plane's URL. */
  server: string;
  /** Of the screenshot server. */
  displayPort: number;
  log: Logger;
}

export class LobbySandboxes implements AsyncDisposable {
  readonly #options: LobbySandboxesOptions;
  readonly #events: WolfEventStream;
  /** By lobby; bounded by the places of the instance. */
  readonly #agents = new Map<string, Agent>();
  readonly #followed: Promise<void>;

  private constructor(options: LobbySandboxesOptions, events: WolfEventStream) {
    this.#options = options;
    this.#events = events;
    this.#followed = this.#follow().catch((error: unknown) => {
      options.log.warn(
        { reason: toError(error).message },
        "Wolf's events have ended; new sessions get no sandbox",
      );
    });
  }

  /** Resolves when Wolf's event stream is open. */
  static async start(options: LobbySandboxesOptions): Promise<LobbySandboxes> {
    const wolf = createWolfClient(wolfOverUnixSocket(options.wolfSocket));
    return new LobbySandboxes(options, await wolf.events());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#events.close();
    await this.#followed;
    await Promise.all([...this.#agents.values()].map((agent) => agent.close()));
  }

  async #follow(): Promise<void> {
    for await (const { name, data } of this.#events) {
      if (name === "CreateLobbyEvent") this.#create(data);
      if (name === "StopLobbyEvent") await this.#stop(data);
    }
  }

  /** The control plane names a lobby after its session, and puts the agent's settings into its container's environment. */
  #create(data: unknown): void {
    const { id, name, runner } = data as { id: string; name: string; runner?: { env?: string[] } };
    const token = runner?.env?.find((entry) => entry.startsWith(TOKEN))?.slice(TOKEN.length);
    if (token === undefined) return; // not created by the control plane
    const { server, displayPort, log } = this.#options;
    const runners = { [`sandbox-${name}`]: { screenshot: `127.0.0.1:${displayPort}` } };
    this.#agents.set(id, createAgent({ server, token: { value: token }, log, drainMs: 1_000, runners }));
  }

  async #stop(data: unknown): Promise<void> {
    const { lobby_id: id } = data as { lobby_id: string };
    const agent = this.#agents.get(id);
    this.#agents.delete(id);
    await agent?.close();
  }
}

const TOKEN = "USER_API_TOKEN=";
