/** Bounds of a cluster of control planes, with their reasons. */

/** Between two renewals of a node's lease. With ten nodes these are five writes a second. */
export const HEARTBEAT_MS = 2_000;
/** A renewal whose outcome is unknown is repeated after this long: four times before a node stops acting as a holder. */
export const HEARTBEAT_RETRY_MS = 500;
/** Renewals that may still come back through the watch: more are forgotten, oldest first. */
export const MAX_PENDING_HEARTBEATS = 32;
/** A node that has sent no acknowledged renewal for this long no longer acts as a holder. Two seconds less than
 * {@link SUSPECT_MS}, so that clocks may differ by a fifth. */
export const FENCE_MS = 8_000;
/** A node whose lease has not changed for this long, while we could see that, loses it. */
export const SUSPECT_MS = 10_000;
/** Our copy is proven to be fresh for this long after a renewal of ours that has come back through the watch was sent: the time
 * between two of them, and three seconds on the way. */
export const FRESH_MS = 5_000;
/** Silence of other nodes is counted anew where this much lies between two renewals of ours that came back: one of them was lost, so
 * theirs may have been as well. */
export const MAX_HEARTBEAT_GAP_MS = 3_500;
/** And where one took longer than this to come back. */
export const MAX_HEARTBEAT_RETURN_MS = 3_000;
/** How often leases are looked at. */
export const TICK_MS = 500;

/** How long a runner is reserved for its credential after its last place is lost, as the registry's grace. */
export const RESERVATION_MS = 30_000;
/** Nodes of a cluster: each looks at every other's lease, and none beyond these is entered. */
export const MAX_NODES = 64;
/** Agent processes of one runner over all nodes: its own at two nodes, stand-bys, discoverers. */
export const MAX_PLACES_PER_RUNNER = 32;
/** Of one runner's entry: 32 places with a few targets each. NATS takes 1 MiB by default. */
export const MAX_ENTRY_BYTES: number = 128 * 1024;
/** Writes of runners that are under way at once: enough for a storm, and few for the client's memory. */
export const WRITES_AT_ONCE = 64;
/** Conflicts in a row after which a runner waits for the next tick: others write to it faster than we can read. */
export const MAX_CONFLICTS_IN_A_ROW = 8;
/** How long a write that has met another one waits for that to come through the watch. */
export const CATCH_UP_MS = 3_000;
/** How long a registration waits for the directory before it is reported as undecided: a change of NATS's leader takes up to 8 s, and
 * an agent's connection waits meanwhile. */
export const REGISTER_WAIT_MS = 10_000;
/** How long a start waits for the first lease, and an end for the last write. */
export const START_WAIT_MS = 5_000;
export const CLOSE_WAIT_MS = 2_000;

/** Between two sweeps of entries that nothing lives in, by the node with the lowest id. */
export const SWEEP_INTERVAL_MS = 30_000;
/** An entry without places stays for this long beyond its reservation. */
export const SWEEP_AFTER_MS = 60_000;
/** Entries that one sweep deletes, and deletions that it forgets: about as many writes a second as ten nodes' renewals. */
export const MAX_SWEPT = 200;
/** How long a deletion is kept for watches that were away. A watch that was away for longer than half of it reads everything. */
export const TOMBSTONE_MS = 3_600_000;
/** Deletions kept in memory; the oldest are forgotten first. */
export const MAX_TOMBSTONES = 100_000;

/** For NATS to respond to a write or a request. A change of leader takes longer, and is met by repeating. */
export const NATS_REQUEST_MS = 2_000;
/** For a connection to NATS, its TLS and credentials included. */
export const NATS_CONNECT_MS = 5_000;
/** Between two attempts to connect. */
export const NATS_RECONNECT_MS = 250;
export const NATS_RECONNECT_JITTER_MS = 100;
/** A connection to NATS without a response to two of these in a row is given up: a cut without a reset is seen after six seconds. */
export const NATS_PING_MS = 2_000;
export const NATS_MAX_PINGS_OUT = 2;
/** Between two signs of life of a watch. */
export const WATCH_HEARTBEAT_MS = 1_000;
/** A watch without a sign of life for this long begins anew, with another consumer. */
export const WATCH_SILENCE_MS = 2_500;
/** Between two attempts to begin a watch: at first, and at most. */
export const WATCH_RETRY_MS = 250;
export const MAX_WATCH_RETRY_MS = 2_000;
/** A watch that was away for longer than this reads everything: some deletions may be forgotten after {@link TOMBSTONE_MS}. */
export const WATCH_RESUMABLE_MS = 1_800_000;
/** Copies of the bucket, where NATS is a cluster. */
export const NATS_REPLICAS = 3;
