/** Several control planes as one cluster, in one process, with a directory in memory. They speak TLS to each other. */
import { createCluster } from "../../src/cluster/cluster.ts";
import type { ClusterOptions } from "../../src/cluster/cluster.ts";
import type { ControlPlane, ControlPlaneOptions } from "../../src/control/control-plane.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { eventually } from "./events.ts";
import { createPki, issueServer } from "./pki.ts";
import type { Pki } from "./pki.ts";
import { SharedDirectory } from "./shared-directory.ts";
import { startControlPlane } from "./system.ts";

export const CLUSTER_SECRET: string = "0123456789abcdef".repeat(4);

export interface TestNode {
  readonly id: string;
  readonly controlPlane: ControlPlane;
  readonly url: string;
  /** For callers: `openCaller()`, `openWebSocket()`. */
  readonly pki: Pki;
}

export interface Nodes extends AsyncDisposable {
  /** `node-1`, `node-2`, … */
  readonly all: readonly TestNode[];
  readonly directory: SharedDirectory;
  readonly pki: Pki;
  /** The first, the second, the third. */
  at(index: number): TestNode;
  /** Starts one more. */
  add(options?: ControlPlaneOptions, cluster?: Partial<ClusterOptions>): Promise<TestNode>;
}

export async function startNodes(count: number, options: ControlPlaneOptions = {}): Promise<Nodes> {
  const pki = await createPki();
  const tls = await issueServer(pki);
  const directory = new SharedDirectory();
  const all: TestNode[] = [];
  const add = async (
    own: ControlPlaneOptions = {},
    cluster: Partial<ClusterOptions> = {},
  ): Promise<TestNode> => {
    const id = `node-${all.length + 1}`;
    const controlPlane = await startControlPlane({
      tls,
      cluster: createCluster({
        nodeId: id,
        url: "https://localhost",
        secret: CLUSTER_SECRET,
        ca: pki.ca,
        createDirectory: (owner) => directory.of(id, owner),
        ...cluster,
      }),
      ...options,
      ...own,
    });
    const url = `https://localhost:${controlPlane.port}`;
    const node: TestNode = { id, controlPlane, url, pki };
    all.push(node);
    directory.join(id, url);
    return node;
  };
  const close = closedAtTheEnd(async () => {
    await Promise.all(all.map(({ controlPlane }) => controlPlane.close()));
  });
  for (let n = 0; n < count; n += 1) await add();
  return {
    all,
    directory,
    pki,
    add,
    at(index) {
      const node = all[index - 1];
      if (node === undefined) throw new Error(`there is no node ${index}`);
      return node;
    },
    [Symbol.asyncDispose]: close,
  };
}

/** Resolves when this node uses the runner, at whichever node its agent is. */
export async function untilUsable({ controlPlane }: TestNode, runner: string): Promise<void> {
  const isUsable = (): boolean =>
    controlPlane.runners().some(({ id, state }) => id === runner && state === "connected");
  await eventually(isUsable, `${runner} is usable`);
}
