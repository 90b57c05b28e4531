/** Bounds between the nodes of a cluster, with their reasons. */

/** Characters of the cluster secret: with a random one of hexadecimal digits, 128 bits. */
export const MIN_SECRET_LENGTH = 32;
export const MAX_SECRET_LENGTH = 4_096;

/** From dialling another node to its proof, and from its request to the dialling node's. */
export const PEER_HANDSHAKE_TIMEOUT_MS = 10_000;

/** Connections to one node: opened one by one, each when all others carry {@link GROW_AT_STREAMS}. Four cores' worth of TLS. */
export const CONNECTIONS_PER_PEER = 4;
export const GROW_AT_STREAMS = 128;
/** Connections that one node is allowed here: its own, those that it replaces, and those of a life before that are not yet known to be
 * dead. */
export const CONNECTIONS_FROM_PEER: number = 4 * CONNECTIONS_PER_PEER;
/** And those of all nodes together. */
export const MAX_PEER_CONNECTIONS = 1_024;

/** Pauses between attempts to reach a node, doubled from one to the next. */
export const RECONNECT_MIN_MS = 100;
export const RECONNECT_MAX_MS = 5_000;

/** Age at which a connection is replaced: its key, and the drift of the two clocks since it began, which is below a second then. */
export const CONNECTION_MAX_AGE_MS = 3_600_000;

/** A signed request is accepted for so long after it was signed: it is sent in the same turn, so this is what a full socket and a busy
 * process may delay it. */
export const SIGNED_VALIDITY_MS = 30_000;
/** And so long before, for what the clocks differ. */
export const CLOCK_TOLERANCE_MS = 2_000;
/** Of the signed field: ids, an owner, a client's address and a hash. */
export const MAX_SIGNED_LENGTH = 4_096;
/** Of one text in it. */
export const MAX_SIGNED_TEXT_LENGTH = 512;

/** Runners of one other node: what one process holds of agents. More are not entered here. */
export const RUNNERS_PER_PEER = 100_000;
