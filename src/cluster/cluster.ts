/** A control plane as a node of a cluster: its directory, its connections to other nodes, and theirs to it. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type {
  ClusterHost,
  ClusterNode,
  ClusterParts,
  ControlPlaneCluster,
  LocalChange,
} from "../control/cluster/cluster.ts";
import { TurnaboutError } from "../wire/errors.ts";
import type { Logger } from "../wire/log.ts";
import { parseRunnerId } from "../wire/messages/names.ts";
import { ClusterKeys } from "./peers/keys.ts";
import { openPeerConnection } from "./peers/peer-connection.ts";
import type { DirectoryOwner, PeerDirectory, PeerNode, PeerPlace } from "./peers/peer-directory.ts";
import { PeerEndpoint } from "./peers/peer-endpoint.ts";
import { PeerLink } from "./peers/peer-link.ts";

export interface ClusterOptions {
  /** Of this node: the rules of runner ids hold. Each process has its own. */
  nodeId: string;
  /** Where other nodes reach this one: `https://cp-1.internal:8443`. */
  url: string;
  /** The same at all nodes, at least 32 random characters: `openssl rand -hex 32`. */
  secret: string;
  /** PEM of a private CA of the nodes' certificates. Default: the system's. */
  ca?: string | undefined;
  /** Nodes may reach each other without TLS. Only for a network that nobody else can read. Default false. */
  allowPlaintext?: boolean | undefined;
  /** Which nodes there are, and which runners they have. */
  createDirectory: (owner: DirectoryOwner & { log: Logger }) => PeerDirectory;
}

/** For the option `cluster` of `createControlPlane()`. @throws TurnaboutError `config_invalid` */
export function createCluster(options: ClusterOptions): ControlPlaneCluster {
  parseRunnerId(options.nodeId);
  const keys = new ClusterKeys(options.secret);
  const protocol = URL.parse(options.url)?.protocol;
  if (protocol !== "https:" && protocol !== "http:") {
    throw new TurnaboutError(
      "config_invalid",
      `node URL ${JSON.stringify(options.url)}: use https://HOST:PORT`,
    );
  }
  if (protocol === "http:" && options.allowPlaintext !== true) {
    throw new TurnaboutError("config_invalid", `node URL ${options.url}: other nodes connect by https only`, {
      hint: "plaintext has to be allowed explicitly, and is for networks that nobody else can read",
    });
  }
  return { install: (host) => new Cluster(options, keys, host) };
}

class Cluster implements ClusterParts {
  readonly #options: ClusterOptions;
  readonly #keys: ClusterKeys;
  readonly #host: ClusterHost;
  readonly #directory: PeerDirectory;
  readonly #endpoint: PeerEndpoint;
  readonly #links = new Map<string, PeerLink>();
  #isDraining = false;
  #closed: Promise<void> | undefined;

  constructor(options: ClusterOptions, keys: ClusterKeys, host: ClusterHost) {
    const { nodeId: self, allowPlaintext: allowsPlaintext = false } = options;
    this.#options = options;
    this.#keys = keys;
    this.#host = host;
    this.#endpoint = new PeerEndpoint({ self, keys, allowsPlaintext, host });
    this.#directory = options.createDirectory({
      log: host.log,
      onRefused: ({ runnerId }, { reason }) => host.refused(runnerId, reason),
    });
    this.#directory.onChange((runnerId) => this.#follow(runnerId));
    host.onLocalRunner((change) => this.#report(change));
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#endpoint.accept(request, socket, head);
  }

  nodes(): ClusterNode[] {
    return this.#directory.nodes().map(({ id, url, version, isSelf }) => {
      const link = this.#links.get(id);
      const self = { isConnected: isSelf, runners: 0, connections: 0, streams: 0, rttMs: undefined };
      return { id, url, version, isSelf, ...(link?.status ?? self) };
    });
  }

  missing(): string | undefined {
    return this.#directory.missing();
  }

  async start(): Promise<void> {
    await this.#directory.start();
    this.#follow(undefined);
  }

  drain(): void {
    this.#isDraining = true;
    this.#endpoint.drain();
    for (const link of this.#links.values()) link.drain();
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.drain();
    await this.#directory.close();
    this.#endpoint.close();
    for (const link of this.#links.values()) link.close("this node has left the cluster");
    this.#links.clear();
  }

  #report(change: LocalChange): void {
    if (change.type === "left") return this.#directory.unregister(change);
    void this.#directory.register(change.runner);
    this.#yield(change.runner.runnerId);
  }

  #follow(runnerId: string | undefined): void {
    if (this.#isDraining) return;
    if (runnerId === undefined) return this.#followAll();
    const nodes = new Map(this.#directory.nodes().map((node) => [node.id, node]));
    this.#place(runnerId, nodes);
  }

  #followAll(): void {
    const nodes = new Map(this.#directory.nodes().map((node) => [node.id, node]));
    const runnerIds = new Set<string>();
    for (const [id, link] of this.#links) {
      for (const runnerId of link.runners) runnerIds.add(runnerId);
      const node = nodes.get(id);
      if (node !== undefined && node.url === link.url) continue;
      this.#links.delete(id);
      link.close("it has left the cluster");
    }
    for (const node of nodes.values()) {
      if (node.isSelf || node.id === this.#options.nodeId) continue;
      this.#linkTo(node);
      for (const runnerId of this.#directory.runnersAt(node.id)) runnerIds.add(runnerId);
    }
    for (const runnerId of runnerIds) this.#place(runnerId, nodes);
  }

  /** Where else a runner is. */
  #place(runnerId: string, nodes: ReadonlyMap<string, PeerNode>): void {
    const at = new Map<string, PeerPlace>();
    for (const place of this.#directory.placeOf(runnerId)) {
      if (place.nodeId !== this.#options.nodeId && !at.has(place.nodeId)) at.set(place.nodeId, place);
    }
    for (const [nodeId, place] of at) {
      const node = nodes.get(nodeId);
      if (node !== undefined) this.#linkTo(node).set(infoOf(place), place);
    }
    for (const [id, link] of this.#links) if (!at.has(id)) link.unset(runnerId);
    this.#yield(runnerId);
  }

  /** The agent here is an older process than one at another node. */
  #yield(runnerId: string): void {
    const own = this.#directory.placeOf(runnerId).filter(({ discovered }) => !discovered);
    const newest = own.find(({ standby }) => !standby);
    const here = own.find(({ nodeId }) => nodeId === this.#options.nodeId);
    if (newest === undefined || here === undefined || here.standby) return;
    if (newest.processId === here.processId || newest.generation <= here.generation) return;
    this.#host.replaced(runnerId);
  }

  #linkTo(node: PeerNode): PeerLink {
    const known = this.#links.get(node.id);
    if (known !== undefined) return known;
    const { nodeId: from, ca } = this.#options;
    const { log, keepalive } = this.#host;
    const link = new PeerLink({
      node,
      log,
      join: (id, tunnel) => this.#host.join(id, tunnel),
      connect: (signal) =>
        openPeerConnection({ from, to: node.id, url: node.url, keys: this.#keys, ca, keepalive, signal }),
    });
    this.#links.set(node.id, link);
    return link;
  }
}

function infoOf({ runnerId, targets, discovered }: PeerPlace): Parameters<PeerLink["set"]>[0] {
  return { id: runnerId, targets: [...targets], ...(discovered && { discovered }) };
}
