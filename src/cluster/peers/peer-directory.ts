/** What the hop between nodes needs of a directory: `../directory/` has it for a cluster on NATS. */
import type { LocalRunner } from "../../control/cluster/cluster.ts";
import type { TargetInfo } from "../../wire/messages/hello.ts";

export interface PeerNode {
  readonly id: string;
  /** Where other nodes reach it. */
  readonly url: string;
  readonly version: string;
  readonly isSelf: boolean;
}

/** An agent process that serves a runner at a node. */
export interface PeerPlace {
  readonly runnerId: string;
  readonly nodeId: string;
  readonly isSelf: boolean;
  readonly processId: string;
  readonly bootEpochMs: number;
  readonly credentialId: string;
  readonly standby: boolean;
  readonly discovered: boolean;
  /** A process that came later has a higher one. */
  readonly generation: number;
  readonly targets: readonly TargetInfo[];
  readonly streamsPerTarget: number;
}

/** Why a runner may not be served here. */
export interface PlaceRefusal {
  readonly kind: "taken" | "full" | "unavailable";
  readonly reason: string;
}

export interface LostPlace {
  readonly runnerId: string;
  readonly processId: string;
  readonly discovered: boolean;
  readonly isWithdrawn: boolean;
}

/** All of it is in memory: no request waits for it. */
export interface PeerDirectory {
  nodes(): readonly PeerNode[];
  /** In the order in which they are to be used. */
  placeOf(runnerId: string): readonly PeerPlace[];
  /** Runners that have a place at this node. */
  runnersAt(nodeId: string): Iterable<string>;
  /** @param listener gets the runner that has changed; undefined if many may have */
  onChange(listener: (runnerId: string | undefined) => void): () => void;
  /** An agent serves a runner here. What is refused later comes by {@link DirectoryOwner.onRefused}. */
  register(local: LocalRunner): Promise<unknown>;
  unregister(lost: LostPlace): void;
  /** Why this node is not to be chosen by callers; undefined if all is well. */
  missing(): string | undefined;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** What a directory is given. */
export interface DirectoryOwner {
  /** An agent may not serve its runner here. */
  onRefused: (local: LocalRunner, refusal: PlaceRefusal) => void;
}
