/**
 * A double of a Docker Engine as discovery sees it, which can misbehave: events lost, doubled or cut, responses that are
 * errors, garbage, endless or never come, and an engine that is away.
 */
import http from "node:http";
import type { ServerResponse } from "node:http";
import { closedAtTheEnd } from "./cleanup.ts";
import { EventLog } from "./event-log.ts";
import { next } from "./events.ts";
import { tempPath } from "./temp.ts";

export interface DoubleContainer {
  id: string;
  name?: string;
  labels: Record<string, string>;
  /** Default `running`. */
  state?: string;
  created?: number;
  /** Default `host`: no other address of a container leads to a test's target. */
  networkMode?: string;
  /** Addresses by network. Default none. */
  networks?: Record<string, string>;
}

/** How a route responds from now on. */
export type ResponseMode = "well" | "with 500" | "with garbage" | "never" | "cut short" | "without end";

export class DockerEngine implements AsyncDisposable {
  readonly path: string = tempPath();
  readonly url: string = `unix://${this.path}`;
  readonly containers: Map<string, DoubleContainer> = new Map();
  /** Paths that were requested. */
  readonly requests: EventLog<string> = new EventLog();
  list: ResponseMode = "well";
  events: ResponseMode = "well";
  /** Every response is a redirect to this URL. */
  redirect: string | undefined;
  /** As Podman: the list says nothing of network modes. */
  isPodman = false;
  #readers = new Set<ServerResponse>();
  #open = new Set<ServerResponse>();
  #server: http.Server | undefined;

  async listen(): Promise<this> {
    const server = http.createServer((request, response) => this.#respond(request.url ?? "", response));
    this.#server = server;
    closedAtTheEnd(() => this.stop());
    server.listen(this.path);
    await next(server, "listening");
    return this;
  }

  /** Everything is reset, and nobody listens any more. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const { promise, resolve } = Promise.withResolvers<void>();
    server.close(() => resolve());
    server.closeAllConnections();
    await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Readers of `/events` at this moment. */
  get readers(): number {
    return this.#readers.size;
  }

  /** Puts it there and tells of it, unless `tell` says how often. */
  run(container: DoubleContainer, times = 1): void {
    this.containers.set(container.id, container);
    this.emitEvent("start", times);
  }

  remove(id: string, times = 1): void {
    this.containers.delete(id);
    this.emitEvent("die", times);
  }

  emitEvent(action: string, times = 1): void {
    for (let n = 0; n < times; n += 1) {
      for (const reader of this.#readers)
        reader.write(`${JSON.stringify({ Type: "container", Action: action })}\n`);
    }
  }

  /** Bytes into every event stream. */
  sendRaw(bytes: string): void {
    for (const reader of this.#readers) reader.write(bytes);
  }

  cutEvents(): void {
    for (const reader of this.#readers) reader.socket?.destroy();
  }

  #respond(url: string, response: ServerResponse): void {
    this.#open.add(response);
    response.once("close", () => this.#open.delete(response));
    response.on("error", () => {}); // permanent
    const { pathname } = new URL(url, "http://docker");
    this.requests.push(pathname);
    if (this.redirect !== undefined) return void response.writeHead(302, { location: this.redirect }).end();
    if (pathname === "/events") return this.#follow(response);
    if (pathname === "/containers/json") return this.#listed(response);
    const id = /^\/containers\/([^/]+)\/json$/.exec(pathname)?.[1];
    const container = id === undefined ? undefined : this.containers.get(id);
    if (container === undefined) return void response.writeHead(404).end('{"message":"no such container"}');
    response.end(JSON.stringify({ Id: id, HostConfig: { NetworkMode: container.networkMode ?? "host" } }));
  }

  #follow(response: ServerResponse): void {
    if (this.events !== "well") return misbehave(this.events, response, "");
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    this.#readers.add(response);
    response.once("close", () => this.#readers.delete(response));
  }

  #listed(response: ServerResponse): void {
    const text = JSON.stringify([...this.containers.values()].map((container) => this.#describe(container)));
    if (this.list !== "well") return misbehave(this.list, response, text);
    response.writeHead(200, { "content-type": "application/json" }).end(text);
  }

  #describe(container: DoubleContainer): object {
    const networks = container.networks ?? {};
    return {
      Id: container.id,
      Names: [`/${container.name ?? container.id}`],
      Created: container.created ?? 0,
      State: container.state ?? "running",
      Labels: container.labels,
      ...(!this.isPodman && { HostConfig: { NetworkMode: container.networkMode ?? "host" } }),
      NetworkSettings: {
        Networks: Object.fromEntries(
          Object.entries(networks).map(([name, address]) => [
            name,
            { IPAddress: address, GlobalIPv6Address: "" },
          ]),
        ),
      },
    };
  }
}

function misbehave(how: ResponseMode, response: ServerResponse, text: string): void {
  switch (how) {
    case "well":
    case "never":
      return;
    case "with 500":
      return void response.writeHead(500).end('{"message":"server error"}');
    case "with garbage":
      return void response.writeHead(200).end(`${text.slice(0, 10)}\u0000}{`);
    case "cut short":
      response.writeHead(200, { "content-length": text.length + 100 });
      return void response.write(text, () => response.socket?.destroy());
    case "without end": {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(" ".repeat(1024 * 1024)));
        response.once("drain", more);
      };
      return more();
    }
  }
}
