/**
 * Every name and number of the wire. docs/protocol.md is the specification; this file is its index.
 */

/** Version of the exchange in `GET /hello`. Raised only when an old peer could misunderstand a new one. */
export const PROTOCOL_VERSION = 1;

/**
 * ALPN identifiers of a TLS connection that is a tunnel connection from its first byte, in order of preference: the
 * bytes d5 87 c9 a5 of draft-thomson-ptth-potato-02 as UTF-8, `rh2` of its -00 and -01, `h2-reverse` of
 * draft-bt-httpbis-reverse-http. Compare with `isReversedAlpn`.
 */
export const REVERSED_ALPN = ["\u0547\u0265", "rh2", "h2-reverse"] as const;

/** Upgrade token of draft-kazuho-ptth-ptth on HTTP/1.1, and its `:protocol` in Extended CONNECT (from -01 on). */
export const PTTH_UPGRADE_TOKEN = "ptth";

/** Value of the `ALPN` header (RFC 7639) in a `ptth` upgrade: HTTP/2 is the only protocol that we reverse. */
export const PTTH_ALPN = "h2";

/** `Sec-WebSocket-Protocol` of the websocket carrier: binary messages are HTTP/2 bytes. */
export const WEBSOCKET_SUBPROTOCOL = "turnabout.h2.v1";

/** Path of the agent endpoint (Helix's own). */
export const AGENT_ENDPOINT_PATH = "/api/v1/revdial";

/**
 * Where draft-kazuho-ptth-ptth-01 expects the agent endpoint, for `ptth` only. A list of serialised origins may follow, each
 * of which names a runner by its host.
 */
export const WELL_KNOWN_ENDPOINT_PATH = "/.well-known/ptth/";

/** The agent endpoint's other path, below the base path as that one is. */
export const SHORT_ENDPOINT_PATH = "/revdial";

/** Query parameter of the agent endpoint that names a runner; may be repeated. */
export const ENDPOINT_RUNNER_PARAMETER = "runnerid";

/** Query parameter of the agent endpoint that names a dial: a RevDial client connects for it. */
export const PICKUP_PARAMETER = "revdial.dialer";

/** `:authority` of the agent's own routes on a tunnel connection. */
export const AGENT_AUTHORITY = "agent";

/** The agent's own routes. */
export const AGENT_PATHS = {
  hello: "/hello",
  events: "/events",
  ping: "/ping",
  metrics: "/metrics",
  diagnosis: "/diagnosis",
  credential: "/credential",
  notices: "/notices",
} as const;

/** Header names of ours. All optional for the receiver: unknown or absent fields never break an exchange. */
export const HEADER = {
  /** Software version of the sender; its presence means that Turnabout itself responded, not a proxy in front of it. */
  version: "turnabout-version",
  /** Random id of the agent process: connections that carry the same one belong to one generation. */
  instance: "turnabout-instance",
  /** `1`: register only if no other agent process holds the runner (sent by an agent that has been replaced). */
  standby: "turnabout-standby",
  /** In the request for `/hello`: milliseconds over which this control plane's agents spread their reconnects. */
  reconnectSpread: "turnabout-reconnect-spread-ms",
  /**
   * On Extended CONNECT: the `Host` for the target. A `host` field would differ from `:authority`, which
   * RFC 9113 §8.3.1 lets a server refuse.
   */
  targetHost: "turnabout-host",
  /**
   * In a refusal of Extended CONNECT: the target's 2xx response to the handshake. As the stream's own status it would mean
   * that the WebSocket is open.
   */
  targetStatus: "turnabout-target-status",
  /** On CONNECT and Extended CONNECT: the id under which both ends log the request that the stream was opened for. */
  requestId: "turnabout-request-id",
  /** In a refusal: the name of the system's error, one of a closed set. Never an address. */
  errno: "turnabout-errno",
  /**
   * In a request to the agent endpoint, and in the response to `/hello`: whoever connects only checks the way and the
   * credential, and registers nothing.
   */
  check: "turnabout-check",
  /**
   * Between the nodes of a cluster only: who has made the request, signed by the node that has authenticated the caller. Anybody
   * else's never passes.
   */
  peer: "turnabout-peer",
} as const;

/** Upgrade token, and path below the base path, with which a node of a cluster connects to another. */
export const PEER_UPGRADE_TOKEN = "turnabout-peer";
export const PEER_ENDPOINT_PATH = "/api/v1/peer";

/** Value of that field in a request for a description of its credential, which is no upgrade. */
export const CHECK_CREDENTIAL = "credential";

/** Capabilities that an agent may list in `/hello`. An unknown capability is not used. */
export const CAPABILITY = {
  /** Extended CONNECT with `:protocol: websocket` (RFC 8441). */
  websocket: "websocket",
  /** `GET /events`: runners come and go while the connection is open. */
  events: "events",
  /** `POST /notices`: the control plane reports runners that it has refused or that were replaced. */
  notices: "notices",
  /** `restarting` in `POST /notices`: the agent connects again at once, and serves the old connection until its end. */
  restart: "restart",
  /** `Turnabout-Host` on Extended CONNECT, in place of `host`. */
  targetHost: "target-host",
  /** A response to Extended CONNECT has our `Proxy-Status` member only if the agent itself refuses. */
  proxyStatus: "proxy-status",
  /** `Turnabout-Request-Id` on the streams that are opened: the agent logs it, and keeps it from the target. */
  requestId: "request-id",
  /** `GET /diagnosis`: what the agent says of itself. */
  diagnosis: "diagnosis",
} as const;

/** Our name in `Proxy-Status` (RFC 9209) and `Via`. */
export const PROXY_NAME = "turnabout";

/** Name of a relay in front of the control plane; in `Via` its random id follows. */
export const RELAY_NAME = "turnabout-relay";
