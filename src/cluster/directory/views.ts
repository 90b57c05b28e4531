/** What the directory shows, and what it is given. */
import type { TargetInfo } from "../../wire/messages/hello.ts";

export interface NodeView {
  id: string;
  /** Where other nodes reach it. */
  url: string;
  /** Of its lease: another life of the node has another one. */
  epoch: string;
  /** Software version, for people. */
  version: string;
  isSelf: boolean;
  /** Its lease has not changed for too long, and is about to end. */
  isSuspect: boolean;
}

/** An agent process that serves a runner here. */
export interface LocalRunner {
  runnerId: string;
  /** Of the agent; its connections at several nodes have the same one. */
  processId: string;
  /** When the process started, in Unix milliseconds; 0 if unknown. */
  bootEpochMs: number;
  credentialId: string;
  /** It has been replaced before, and serves the runner only where no other process does. */
  standby: boolean;
  /** It has discovered the runner, and does not hold it. */
  discovered: boolean;
  targets: readonly TargetInfo[];
  /** Streams that the agent takes to one target at once. */
  streamsPerTarget: number;
}

/** An agent process of a runner, at a node whose lease lives. */
export interface RunnerPlace extends Omit<LocalRunner, "runnerId"> {
  runnerId: string;
  nodeId: string;
  /** {@link NodeView.epoch} */
  nodeEpoch: string;
  nodeUrl: string;
  isSelf: boolean;
  /** {@link NodeView.isSuspect} */
  isSuspect: boolean;
  /** The same for all places of one process; a process that came later has a higher one. */
  generation: number;
}

/**
 * Why a runner is not registered. `taken`: another credential holds it. `full`: it has too many places, or too long an entry.
 * `unavailable`: the storage engine could not be reached; if the runner is known to belong to this credential, the directory
 * goes on trying.
 */
export interface Refusal {
  kind: "taken" | "full" | "unavailable";
  /** For the log. */
  reason: string;
  /** With `unavailable`: this credential held the runner when the directory was last seen. */
  isKnown: boolean;
}

/** Whose place a local loss takes away. */
export interface LostRunner {
  runnerId: string;
  processId: string;
  discovered: boolean;
  /** The agent has withdrawn it, or its credential was revoked: the runner is not reserved any longer. */
  isWithdrawn: boolean;
}
