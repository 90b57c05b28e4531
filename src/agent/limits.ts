/** Bounds of the agent's side, with their reasons. */

/** TCP connect or Unix connect to a target. Below the control plane's patience for a dial. */
export const TARGET_CONNECT_TIMEOUT_MS = 5_000;

/** After a target has stopped reading, what it still says is read for so long. */
export const READ_AFTER_RESET_MS = 2_000;

/** A target's answer to a WebSocket handshake. */
export const WEBSOCKET_HANDSHAKE_TIMEOUT_MS = 30_000;

/** 1xx responses before that answer: a target that sends more has lost its way. */
export const MAX_INFORMATIONAL_RESPONSES = 1_000;

/** Streams to one target at once: single-threaded targets such as Wolf must not be buried. */
export const STREAMS_PER_TARGET = 512;

/** One carrier's attempt, from name resolution to HTTP/2 settings: a proxy that swallows upgrades must not hold us. */
export const ATTEMPT_TIMEOUT_MS = 20_000;

/** How much of an unexpected answer's body goes into the error message. */
export const REFUSAL_EXCERPT_BYTES = 200;
/** How long that excerpt may take to arrive. */
export const REFUSAL_EXCERPT_TIMEOUT_MS = 1_000;

/** Connections to the control plane: two, so that small requests do not queue behind bulk and a hand-over is never a gap. */
export const DEFAULT_CONNECTIONS = 2;
/** More connections than this only cost memory. */
export const MAX_CONNECTIONS = 16;

/** First retry: anywhere in this span (full jitter), doubling after each failure. */
export const BACKOFF_BASE_MS = 500;
/** Longest retry after network failures: thousands of agents are back within 10 s of a restart. */
export const BACKOFF_CAP_MS = 8_000;
/** Longest retry, unless the control plane has asked for more, for {@link RESTART_MS} after a connection has ended. */
export const RESTART_BACKOFF_CAP_MS = 1_000;
/** So long a control plane that does not answer is taken to be restarting: a host's upgrade fits in. */
export const RESTART_MS: number = 5 * 60_000;
/** No option makes it shorter: a dead server must not be dialled without a pause. */
export const BACKOFF_CAP_FLOOR_MS = 20;
/** The same for refused credentials, which only an operator's action can mend. */
export const REFUSED_BACKOFF_BASE_MS = 5_000;
export const REFUSED_BACKOFF_CAP_MS = 60_000;
/** A file that is missing or wrong is complained of again after so long: nothing but an operator mends it. */
export const CONFIG_ERROR_LOG_INTERVAL_MS = 60_000;
/** An agent that has been replaced connects again as a stand-by within this time. */
export const STANDBY_CONNECT_MS = 1_000;
/** Longest pause of a stand-by that was refused, because there are too many or the control plane keeps none. */
export const STANDBY_DELAY_MS = 30_000;

/** A connection that lived this long was good: the next loss starts from the first delay again. */
export const STABLE_AFTER_MS = 10_000;

/** Old sessions of one slot that may still be draining while its new one serves. */
export const MAX_DRAINING_CONNECTIONS = 4;

/** After this many failures in a row of the carrier that once worked, all are tried again. */
export const CARRIER_MEMORY_FAILURES = 3;

/** Size of a token, certificate or key file. */
export const MAX_CREDENTIAL_FILE_BYTES: number = 64 * 1024;

/** Lines of `/events` waiting for a slow reader; then the stream is ended and the reader asks `/hello` again. */
export const MAX_PENDING_EVENTS = 1_000;

/** Runners named in the door's URL. All of them are in `/hello`; the URL only serves an early refusal. */
export const MAX_ENDPOINT_RUNNERS = 16;

/** An answer of the Docker Engine: a list takes it milliseconds, so an engine that is slower is in trouble. */
export const DOCKER_RESPONSE_TIMEOUT_MS = 5_000;
/** The list of labelled containers: about 2 KiB for each, so thousands. */
export const MAX_DOCKER_RESPONSE_BYTES: number = 8 * 1024 * 1024;
/** Between two looks at the engine's containers: what happens in it costs one look, however many events tell of it. */
export const DOCKER_POLL_PAUSE_MS = 100;
/** A look without any sign that something has changed: events get lost, and come before the list knows of them. It costs
 * an engine a few milliseconds, and what is announced is right within 2 s whatever happens to events. */
export const DOCKER_POLL_INTERVAL_MS = 1_000;
/** Retries of an engine that is not there: it is on this host, asking costs nothing, and sandboxes wait for it. */
export const DOCKER_BACKOFF_BASE_MS = 100;
export const DOCKER_BACKOFF_CAP_MS = 1_000;
/** So long after an engine has fallen silent its containers stay announced: they may outlive it. Later a stranger may
 * have their addresses. */
export const DOCKER_SILENT_MS = 60_000;
/** Of a complaint about a label, which may be of any length. */
export const MAX_DOCKER_REASON_LENGTH = 300;

/** Path of a Unix socket: what Linux takes (`sun_path`, less the closing zero). */
export const MAX_SOCKET_PATH_BYTES = 107;

/** First TCP keep-alive probe on connections that we dial or accept: a peer that has vanished is forgotten at last, also
 * where nobody sends PING (a relay). */
export const TCP_KEEPALIVE_MS = 60_000;

/** A host, a user name or a password in a SOCKS request: its length is one byte (RFC 1928 §4, RFC 1929 §2). */
export const MAX_SOCKS_TEXT_BYTES = 255;

/** Connections that a relay passes on at once: 512 sandboxes with two each. */
export const MAX_RELAYED_CONNECTIONS = 1_024;
/** Of these, such as the control plane has not answered yet: a burst must not become one of TLS handshakes. */
export const MAX_RELAY_DIALS = 128;
/** Connections to a relay that have not said yet what they want. The oldest makes room: an honest one takes milliseconds. */
export const MAX_RELAY_PENDING_REQUESTS = 1_024;
/** From a connection to the end of its request's header. */
export const RELAY_REQUEST_TIMEOUT_MS = 10_000;
/** A refused agent's socket may take so long to read the answer. */
export const RELAY_LINGER_MS = 2_000;
/** From there to the control plane's answer. Below {@link ATTEMPT_TIMEOUT_MS}, so that the agent behind hears the reason. */
export const RELAY_DIAL_TIMEOUT_MS = 15_000;
/** Header of a request to a relay: as much as the control plane takes. */
export const MAX_RELAY_HEADER_BYTES: number = 32 * 1024;
/** Of a refusal's body, what is passed back; a stranger's web page may be longer. */
export const MAX_RELAY_REFUSAL_BYTES: number = 64 * 1024;
/** Intermediaries that a dial may have passed (`Via`), before it is taken for a loop. */
export const MAX_RELAY_HOPS = 8;
/** After one side of a relayed connection has ended, the other may take so long. A carrier is never half-open for long. */
export const RELAY_HALF_OPEN_MS = 30_000;
/** While a relay drains: a connection that moved less than so much in so long is quiet, and closed. PINGs are less. */
export const RELAY_QUIET_BYTES = 1_024;
export const RELAY_QUIET_MS = 2_000;

/** How often the client certificate's file is looked at: its renewal is taken so soon, its end comes hours later. */
export const RENEWAL_POLL_MS = 1_000;
