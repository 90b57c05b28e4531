/** Bounds of the agent's side, with their reasons. */

/** TCP connect or Unix connect to a target. Below the control plane's deadline for a dial. */
export const TARGET_CONNECT_TIMEOUT_MS = 5_000;

/** A target's response to a WebSocket handshake. */
export const WEBSOCKET_HANDSHAKE_TIMEOUT_MS = 30_000;

/** 1xx responses before that response, or before that to an upgrade of our own: a peer that sends more is broken. */
export const MAX_INFORMATIONAL_RESPONSES = 1_000;

/** Log lines a minute about targets that were not reached or sent no response: callers can cause them without limit. */
export const TARGET_FAILURES_LOGGED_PER_MINUTE = 120;
/** A caller that leaves without a byte from the target has waited for one, if it was for so long: ordinary responses take less. */
export const SILENT_TARGET_MS = 1_000;
/** Requests that were logged so and are remembered: both ends notice the same silence, within a round trip. */
export const REMEMBERED_FAILURES = 1_024;

/** Targets with metrics of their own: the streams of further ones are counted as `other`. */
export const METRICS_MAX_TARGETS = 128;
/** Streams that a reading of the metrics looks at to see what they wait for: a few milliseconds. */
export const METRICS_MAX_STREAMS = 10_000;

/** Streams to one target at once: protects single-threaded targets such as Wolf. One credential may have 512 of them, and the
 * rest is room for others: as much as fair shares need, by which one has at most 7/8. */
export const STREAMS_PER_TARGET = 586;

/** One carrier's attempt, from name resolution to HTTP/2 SETTINGS: some proxies never respond to an upgrade. */
export const ATTEMPT_TIMEOUT_MS = 20_000;

/** From the control plane's request for `/hello` to its registration, where it shows that by nothing else: it takes milliseconds. */
export const REGISTRATION_MS = 2_000;

/** How much of an unexpected response's body goes into the error message. */
export const REFUSAL_EXCERPT_BYTES = 200;
/** How long that excerpt may take to arrive. */
export const REFUSAL_EXCERPT_TIMEOUT_MS = 1_000;

/** Connections to the control plane: two, so that small requests do not queue behind bulk, and one remains while the other
 * reconnects. */
export const DEFAULT_CONNECTIONS = 2;
/** More connections than this only cost memory. */
export const MAX_CONNECTIONS = 16;

/** Span of the first retry (full jitter); doubles with each failure. */
export const BACKOFF_BASE_MS = 500;
/** Longest retry delay after network failures: thousands of agents are back within 10 s of a restart. */
export const BACKOFF_CAP_MS = 8_000;
/** Longest retry delay, unless the control plane has requested more, for {@link RESTART_MS} after a connection has ended. */
export const RESTART_BACKOFF_CAP_MS = 1_000;
/** How long a control plane that does not respond is taken to be restarting: enough for the upgrade of a host. */
export const RESTART_MS: number = 5 * 60_000;
/** After the control plane has announced its restart, an attempt that fails is repeated after this much, for so long: the new
 * process gets its agents within a second of its start. With many agents the pause grows to the spread. */
export const ANNOUNCED_RETRY_MIN_MS = 50;
export const ANNOUNCED_RETRY_MAX_MS = 250;
export const ANNOUNCED_RESTART_MS = 15_000;
/** Announced restarts without a stable connection in between: more are a fault, and attempts back off. */
export const MAX_ANNOUNCEMENTS = 10;
/** Shortest cap that an option can set: a dead server must not be dialled without a pause. */
export const BACKOFF_CAP_FLOOR_MS = 20;
/** The same after a refusal, which only an operator can resolve. */
export const REFUSED_BACKOFF_BASE_MS = 5_000;
export const REFUSED_BACKOFF_CAP_MS = 60_000;
/** How often a file that is missing or wrong, and a credential that is refused, is logged again: only an operator can correct it. */
export const OPERATOR_ERROR_LOG_INTERVAL_MS = 60_000;
/** A replaced agent connects again as a stand-by within this time. */
export const STANDBY_CONNECT_MS = 1_000;
/** Longest pause before a stand-by that was refused offers itself again. */
export const STANDBY_DELAY_MS = 30_000;

/** After a connection that lived this long, backoff starts from the first delay again. */
export const STABLE_AFTER_MS = 10_000;

/** Old connections of one slot that may drain while its new one serves. */
export const MAX_DRAINING_CONNECTIONS = 4;

/** After this many failures in a row of the carrier that once worked, all are tried again. */
export const CARRIER_MEMORY_FAILURES = 3;

/** Size of a token, certificate or key file. */
export const MAX_CREDENTIAL_FILE_BYTES: number = 64 * 1024;
/** A token, as a field of a request: proxies on the way take 8 KiB, and a JWT has 2. */
export const MAX_TOKEN_LENGTH = 8_000;

/** Lines of `/events` that wait for a slow reader; then the stream is reset, and the reader requests `/hello` again. */
export const MAX_PENDING_EVENTS = 1_000;

/** `POST /notices` that a control plane may send on one connection, at once and sustained per second: one for each refused
 * runner, and one a second for the spread of reconnects. Above it: 429. */
export const NOTICES_BURST = 256;
export const NOTICES_PER_S = 4;
/** Body of one: all runners of a connection, refused, are 45 KiB. */
export const MAX_NOTICES_BYTES: number = 64 * 1024;
/** Log lines in a minute about notices. */
export const NOTICES_LOGGED_PER_MINUTE = 300;

/** A target that is up and down by turns is reported this often; what it was in between is not. */
export const TARGET_HEALTH_INTERVAL_MS = 1_000;

/** Runners named in the agent endpoint's URL. `/hello` has all of them; the URL only allows an early refusal. */
export const MAX_ENDPOINT_RUNNERS = 16;

/** A response of the Docker Engine. A list takes milliseconds. */
export const DOCKER_RESPONSE_TIMEOUT_MS = 5_000;
/** The list of labelled containers: about 2 KiB for each. */
export const MAX_DOCKER_RESPONSE_BYTES: number = 32 * 1024 * 1024;
/** What the list has about one container, and what the engine has about it otherwise; a larger one is not announced. Labels
 * and annotations of Kubernetes may have 256 KiB. */
export const MAX_DOCKER_CONTAINER_BYTES: number = 512 * 1024;
/** Containers of a list; the rest of a longer one is not read. */
export const MAX_DOCKER_CONTAINERS = 4_096;
/** Value of a label of ours. The longest that is valid is a port with a `;host=`. */
export const MAX_DOCKER_LABEL_LENGTH = 512;
/** Id and name of a container: engines use 64 hexadecimal digits. */
export const MAX_DOCKER_ID_LENGTH = 128;
/** Containers of one list whose network mode is requested from the engine (Podman's list omits it), and how long they may
 * take together. */
export const DOCKER_INSPECTIONS = 32;
export const DOCKER_INSPECT_TIMEOUT_MS = 1_000;
/** Containers that are announced at once, and sustained per second: as many changes as a control plane takes. An engine whose
 * containers come and go without end must not cost the agent its connection. */
export const DOCKER_CHANGES_BURST = 512;
export const DOCKER_CHANGES_PER_S = 8;
/** Log lines in a minute about containers; the rest are counted. */
export const DOCKER_LINES_PER_MINUTE = 600;
/** Pause between two requests for the list of containers: a burst of events costs one request. */
export const DOCKER_POLL_PAUSE_MS = 100;
/** How often the list is requested without an event: events get lost, or precede the list. A request costs an engine a
 * few milliseconds, and the announced containers are correct within 2 s whatever happens to events. */
export const DOCKER_POLL_INTERVAL_MS = 1_000;
/** Retries of an engine that is down. Short: it is on this host, and sandboxes wait for it. */
export const DOCKER_BACKOFF_BASE_MS = 100;
export const DOCKER_BACKOFF_CAP_MS = 1_000;
/** How long the containers of an engine that does not respond stay announced: they may outlive it. Later their addresses
 * may belong to other containers. */
export const DOCKER_SILENT_MS = 60_000;
/** Characters of the reason why a container is not announced: labels have any length. */
export const MAX_DOCKER_REASON_LENGTH = 300;

/** Path of a Unix socket: what Linux takes (`sun_path`, less the closing zero). */
export const MAX_SOCKET_PATH_BYTES = 107;

/** First TCP keep-alive probe on connections that we dial or accept: ends connections to vanished peers where no PING is
 * sent (a relay). */
export const TCP_KEEPALIVE_MS = 60_000;

/** A host, a user name or a password in a SOCKS request: its length is one byte (RFC 1928 §4, RFC 1929 §2). */
export const MAX_SOCKS_TEXT_BYTES = 255;

/** Connections that a relay forwards at once: 512 sandboxes with two each. Beyond it the credential with the most loses one
 * to a credential with fewer. */
export const MAX_RELAYED_CONNECTIONS = 1_024;
/** Of these, those of one agent, by its credential and first runner: the most that an agent has, while it renews its
 * certificate, and a successor of it. */
export const RELAYED_CONNECTIONS_PER_AGENT = 64;
/** Of these, dials of RevDial clients with one credential: as many as the streams that the control plane gives it, and half of all,
 * so that its other clients still connect. */
export const RELAYED_PICKUPS_PER_CREDENTIAL = 512;
/** Upgrade requests that a relay forwards at once: a burst of agents must not become a burst of TLS handshakes. Beyond it the
 * address with the most loses one to an address with fewer, and of one address the credential with the most. */
export const MAX_RELAY_DIALS = 128;
/** Pick-ups of RevDial clients that wait for one of those: the streams of one credential. */
export const MAX_RELAY_WAITING_PICKUPS = 512;
/** Connections to a relay without a complete request. Beyond it the oldest of the address with the most is closed: a correct
 * agent takes milliseconds. */
export const MAX_RELAY_PENDING_REQUESTS = 1_024;
/** Log lines in a minute about refused dials, and about forwarded connections. */
export const RELAY_LINES_PER_MINUTE = 300;
/** From a connection to the end of its request's header. */
export const RELAY_REQUEST_TIMEOUT_MS = 10_000;
/** How long a refused agent may take to read the response. */
export const RELAY_LINGER_MS = 2_000;
/** From there to the control plane's response. Below {@link ATTEMPT_TIMEOUT_MS}, so that the agent gets the reason. */
export const RELAY_DIAL_TIMEOUT_MS = 15_000;
/** Header of a request to a relay; the control plane has the same limit. */
export const MAX_RELAY_HEADER_BYTES: number = 32 * 1024;
/** How much of a refusal's body is passed back: it may be a proxy's web page. */
export const MAX_RELAY_REFUSAL_BYTES: number = 64 * 1024;
/** Intermediaries that a dial may have passed (`Via`). More are taken for a loop. */
export const MAX_RELAY_HOPS = 8;
/** How long a relayed connection may be half-open. A carrier is never half-open for long. */
export const RELAY_HALF_OPEN_MS = 30_000;
/** While a relay drains: a connection that carried fewer bytes than this within the time below is quiet, and is closed.
 * PINGs are fewer. */
export const RELAY_QUIET_BYTES = 1_024;
export const RELAY_QUIET_MS = 2_000;

/** How often the client certificate's file is read for a renewal. */
export const RENEWAL_POLL_MS = 1_000;
