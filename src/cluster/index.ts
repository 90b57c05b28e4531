/**
 * `turnabout/cluster`: several control planes as one. An entry of its own, because NATS's client is an optional peer dependency: one
 * node needs none.
 */
export { createCluster } from "./cluster.ts";
export type { ClusterOptions } from "./cluster.ts";
export { directoryOn } from "./directory-peers.ts";
export { systemClock } from "./directory/clock.ts";
export type { Clock } from "./directory/clock.ts";
export { Directory } from "./directory/directory.ts";
export type { DirectoryListener, DirectoryOptions, DirectoryStatus } from "./directory/directory.ts";
export { RevisionConflict } from "./directory/key-value.ts";
export type { KeyValue, KeyValueEntry, WatchHandlers } from "./directory/key-value.ts";
export type { Registration } from "./directory/runner-writer.ts";
export type { LocalRunner, LostRunner, NodeView, Refusal, RunnerPlace } from "./directory/views.ts";
export { NatsKeyValue } from "./nats/nats-key-value.ts";
export type { NatsKeyValueOptions } from "./nats/nats-key-value.ts";
export type {
  DirectoryOwner,
  LostPlace,
  PeerDirectory,
  PeerNode,
  PeerPlace,
  PlaceRefusal,
} from "./peers/peer-directory.ts";
