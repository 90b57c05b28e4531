/**
 * The sandboxes of the demo's sessions, in the place of Wolf's containers: it hears of lobbies by Wolf's own events, and
 * gives each an agent with the token that was minted for it. All show the demo's one screen.
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
  /** By lobby; as many as the instance has places. */
  readonly #agents = new Map<string, Agent>();
  readonly #followed: Promise<void>;

  private constructor(options: LobbySandboxesOptions, events: WolfEventStream) {
    this.#options = options;
    this.#events = events;
    this.#followed = this.#follow().catch((error: unknown) => {
      options.log.warn({ reason: toError(error).message }, "no sandboxes any more: Wolf's events have ended");
    });
  }

  /** Resolves when it hears Wolf. */
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

  /** The control plane names a lobby after its session, and gives its container what an agent needs. */
  #create(data: unknown): void {
    const { id, name, runner } = data as { id: string; name: string; runner?: { env?: string[] } };
    const token = runner?.env?.find((entry) => entry.startsWith(TOKEN))?.slice(TOKEN.length);
    if (token === undefined) return; // made by somebody else
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
