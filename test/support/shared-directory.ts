/** A directory in memory that control planes of one process share: what `src/cluster/directory/` is for those on NATS. */
import type { LocalRunner } from "../../src/control/cluster/cluster.ts";
import type {
  DirectoryOwner,
  LostPlace,
  PeerDirectory,
  PeerNode,
  PeerPlace,
} from "../../src/cluster/peers/peer-directory.ts";

type Place = Omit<PeerPlace, "isSelf">;

export class SharedDirectory {
  readonly #nodes = new Map<string, Omit<PeerNode, "isSelf">>();
  readonly #places = new Map<string, Place[]>();
  readonly #listeners = new Set<(runnerId: string | undefined) => void>();
  #generation = 0;

  /** What a control plane is given as its directory. */
  of(self: string, { onRefused }: DirectoryOwner): PeerDirectory {
    return {
      nodes: () => [...this.#nodes.values()].map((node) => ({ ...node, isSelf: node.id === self })),
      placeOf: (runnerId) =>
        this.placesOf(runnerId).map((place) => ({ ...place, isSelf: place.nodeId === self })),
      runnersAt: (nodeId) =>
        [...this.#places]
          .filter(([, places]) => places.some((place) => place.nodeId === nodeId))
          .map(([id]) => id),
      onChange: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      register: async (local) => {
        const holder = this.placesOf(local.runnerId).find(({ discovered }) => !discovered);
        if (holder !== undefined && !local.discovered && holder.credentialId !== local.credentialId) {
          onRefused(local, { kind: "taken", reason: "another credential holds this runner" });
        } else this.enter(self, local);
        return Promise.resolve();
      },
      unregister: (lost) => this.#remove(self, lost),
      missing: () => undefined,
      start: () => Promise.resolve(),
      close: () => {
        this.leave(self);
        return Promise.resolve();
      },
    };
  }

  /** A node is reached at this URL from now on. */
  join(id: string, url: string): void {
    this.#nodes.set(id, { id, url, version: "0.0.0" });
    this.#notify(undefined);
  }

  /** Its lease has ended. */
  leave(id: string): void {
    if (!this.#nodes.delete(id)) return;
    this.#notify(undefined);
  }

  /** Enters a runner at a node, whether that has it or not. */
  enter(nodeId: string, { runnerId, ...local }: LocalRunner): void {
    const all = this.#places.get(runnerId) ?? [];
    const ofProcess = all.find(({ processId }) => processId === local.processId);
    this.#generation += 1;
    const generation = ofProcess?.generation ?? this.#generation;
    const others = all.filter((place) => place.nodeId !== nodeId || place.processId !== local.processId);
    const places = [...others, { ...local, runnerId, nodeId, generation }];
    this.#places.set(
      runnerId,
      places.toSorted((a, b) => b.generation - a.generation),
    );
    this.#notify(runnerId);
  }

  /** At nodes that live. */
  placesOf(runnerId: string): Place[] {
    return (this.#places.get(runnerId) ?? []).filter(({ nodeId }) => this.#nodes.has(nodeId));
  }

  #remove(nodeId: string, { runnerId, processId }: LostPlace): void {
    const left = (this.#places.get(runnerId) ?? []).filter(
      (place) => place.nodeId !== nodeId || place.processId !== processId,
    );
    this.#places.set(runnerId, left);
    this.#notify(runnerId);
  }

  #notify(runnerId: string | undefined): void {
    for (const listener of this.#listeners) listener(runnerId);
  }
}
