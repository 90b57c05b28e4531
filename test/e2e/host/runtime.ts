/**
 * A small container runtime in Wolf's place: it follows Wolf's lobby events, and starts and stops their sandboxes,
 * as the real Wolf does with Docker.
 */
import { request } from "node:http";
import type { ClientRequest } from "node:http";
import { Sandbox } from "./sandbox.ts";

const PREFIX = "wolf::core::events::";

interface Created {
  id: string;
  name: string;
  runner: { env: string[] };
}

export interface RuntimeOptions {
  wolfSocket: string;
  /** Size of a lobby's display. */
  sizeOf: (lobby: string) => { width: number; height: number };
  network: string | undefined;
  log: (line: string) => void;
}

export class ContainerRuntime {
  readonly #options: RuntimeOptions;
  readonly #events: ClientRequest;
  readonly #byLobby = new Map<string, Promise<Sandbox>>();
  readonly #stopping = new Set<Promise<void>>();
  /** Command lines of processes that sandboxes have left behind. */
  readonly stragglers: string[] = [];

  private constructor(options: RuntimeOptions, events: ClientRequest) {
    this.#options = options;
    this.#events = events;
  }

  /** Resolves when Wolf's event stream is open. */
  static async start(options: RuntimeOptions): Promise<ContainerRuntime> {
    const events = request({ socketPath: options.wolfSocket, path: "/api/v1/events", agent: false });
    const runtime = new ContainerRuntime(options, events);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    events.on("error", reject);
    events.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("error", () => {}); // our own end
      response.on("data", (chunk: string) => {
        const blocks = (text + chunk).split("\n\n");
        text = blocks.pop() ?? "";
        for (const block of blocks) runtime.#hear(block);
      });
      resolve();
    });
    events.end();
    await promise;
    return runtime;
  }

  /** Sandboxes that have been started and not been stopped. */
  async list(): Promise<Sandbox[]> {
    return Promise.all(this.#byLobby.values());
  }

  async find(session: string): Promise<Sandbox> {
    const found = (await this.list()).find((sandbox) => sandbox.session === session);
    if (found === undefined) throw new Error(`no sandbox of ${session}`);
    return found;
  }

  /** Resolves when all sandboxes that are stopping have stopped. */
  async settled(): Promise<void> {
    await Promise.all(this.#stopping);
  }

  async close(): Promise<void> {
    this.#events.destroy();
    for (const lobby of this.#byLobby.keys()) this.#stop(lobby);
    await this.settled();
  }

  #hear(block: string): void {
    const name = /^event: (.*)$/m.exec(block)?.[1];
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (name === undefined || data === undefined) return;
    if (name === `${PREFIX}CreateLobbyEvent`) this.#create(JSON.parse(data) as Created);
    if (name === `${PREFIX}StopLobbyEvent`) this.#stop((JSON.parse(data) as { lobby_id: string }).lobby_id);
  }

  #create({ id, name, runner }: Created): void {
    const { network, log, sizeOf } = this.#options;
    const sandbox = Sandbox.start({ session: name, environment: runner.env, network, log, ...sizeOf(name) });
    sandbox.catch((error: Error) => log(`sandbox of ${name}: ${error.message}`));
    this.#byLobby.set(id, sandbox);
  }

  #stop(lobby: string): void {
    const sandbox = this.#byLobby.get(lobby);
    this.#byLobby.delete(lobby);
    if (sandbox === undefined) return;
    const stopped = sandbox
      .then(async (one) => void this.stragglers.push(...(await one.stop())))
      .catch((error: Error) => this.#options.log(`stopping a sandbox: ${error.message}`))
      .finally(() => this.#stopping.delete(stopped));
    this.#stopping.add(stopped);
  }
}
