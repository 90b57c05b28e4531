/** Bounds of checks, with their reasons. */

/** All checks together: beyond it the rest is skipped. */
export const CHECK_TIMEOUT_MS = 60_000;
/** Resolving a name: resolvers try again after 5 s. */
export const CHECK_NAME_TIMEOUT_MS = 6_000;
/** A connection to one address, or to a relay's socket. */
export const CHECK_CONNECT_TIMEOUT_MS = 5_000;
/** A connection through an outbound proxy, which makes one of its own. */
export const CHECK_PROXY_TIMEOUT_MS = 10_000;
/** A TLS handshake, and a response to a request: a port that sends nothing for so long is silent. */
export const CHECK_RESPONSE_TIMEOUT_MS = 5_000;
/** One carrier, from its connection to the control plane's consent. Some proxies never respond to an upgrade. */
export const CHECK_CARRIER_TIMEOUT_MS = 10_000;
/** A target's connection, and a list of the Docker Engine. */
export const CHECK_TARGET_TIMEOUT_MS = 5_000;

/** Addresses of a name that are tried. */
export const MAX_CHECKED_ADDRESSES = 16;
/** Targets that are connected to at once. Those with a name one after the other: a name that hangs holds one of node's few
 * threads for lookups, and the agent needs one too. */
export const CHECKED_TARGETS_AT_ONCE = 16;
/** Body of a response that is read. */
export const MAX_CHECKED_BODY_BYTES: number = 64 * 1024;
/** Characters of what a peer has sent, in one finding. */
export const MAX_SEEN_LENGTH = 300;

/** A clock that differs from the control plane's by more is warned about: `Date` has seconds, and a path takes its time. */
export const CLOCK_WARNING_MS = 60_000;
/** And by more than this it has failed: certificates are judged by it. */
export const CLOCK_FAILURE_MS = 3_600_000;

/** An agent that has neither connected nor failed by then is checked: its name or its port may hang. */
export const START_CHECKS_MS = 5_000;
/** An agent that has connected checks its path within this time: thousands may have been started at once. */
export const START_CHECKS_SPREAD_MS = 10_000;
