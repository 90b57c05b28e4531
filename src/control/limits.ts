/** Bounds of the control plane's side that are no single room's own, with their reasons. */

/** Time after a lost connection in which dials wait for the reconnect. */
export const GRACE_MS = 30_000;

/** Time after a start in which dials wait for runners that were known before: agents reconnect with jitter. */
export const WARM_UP_MS = 30_000;

/** Dials of one credential that wait for one runner, in grace or for a first connect; the next is refused at once. Four
 * seconds at 1,000 requests a second: longer than an agent's reconnect takes. */
export const WAITING_DIALS_PER_CALLER_AND_RUNNER = 4_096;
/** Waiting dials in total. A waiting HTTP request holds about 16 KiB (socket, parser, header): this many are 256 MiB. If all
 * places are taken, the credential with the most waiting dials loses one to a credential with fewer. */
export const MAX_WAITING_DIALS = 16_384;
/** Of the streams that an agent takes to one target, one in so many is left free when waiting dials are released. */
export const RELEASE_SPARE_DIVISOR = 8;
/** And one in so many is when new dials queue too: the agent's count lags behind ours. */
export const ARRIVAL_SPARE_DIVISOR = 16;
/** A target without room for this long has streams that stay open: dials no longer wait for it, and the agent's count
 * decides. */
export const SATURATED_STALL_MS = 2_000;
/** A dial that the agent refuses because its target has too many streams queues again this often, after a pause that grows
 * by this much each time: by then the agent too has seen the end of those that have ended. */
export const SATURATED_DIAL_ATTEMPTS = 6;
export const SATURATED_DIAL_PAUSE_MS = 50;
/** Each batch fills the remaining room divided by this: the agent counts a stream until its target has closed, which is
 * later than we see it. */
export const RELEASE_DIVISOR = 8;
/** Between two batches: thousands are released within half a second. */
export const RELEASE_PAUSE_MS = 5;

/** Longest wait for a first connect that a caller may request. */
export const MAX_WAIT_MS = 120_000;

/** Gone runners that are still known (503 instead of 404); the oldest of the credential with the most is forgotten first. */
export const MAX_GONE_RUNNERS = 10_000;

/** Runners of one credential that are connected or awaited: all hosts of a large fleet with one token. */
export const RUNNERS_PER_CREDENTIAL = 10_000;
/** Its agents' connections: two for each runner, and some that are being replaced. */
export const CONNECTIONS_PER_CREDENTIAL = 20_480;

/** Connections of one agent process: twice its maximum, because it has both sets while it renews its certificate. */
export const MAX_CONNECTIONS_PER_GENERATION = 32;
/** Stand-bys of one runner: each holds a connection that is otherwise idle. */
export const MAX_STANDBYS_PER_RUNNER = 8;
/** Agents that have discovered one runner: a container is in one engine, and few agents watch that. */
export const MAX_DISCOVERERS_PER_RUNNER = 8;

/** From opening the stream to the agent's response: above the agent's own connect timeout. */
export const DIAL_TIMEOUT_MS = 10_000;

/** Of what a caller sends behind its CONNECT, passed on before the target has accepted and kept until then: a first request, or
 * the first flight of TLS. More waits in the caller's socket. */
export const MAX_EARLY_BYTES: number = 64 * 1024;

/** Attempts of a dial that the agent has provably not processed, on another connection if there is one. */
export const DIAL_ATTEMPTS = 3;

/** Before a request whose agent has died is tried again: all connections of a dying process end within milliseconds. */
export const LOSS_SETTLE_MS = 50;

/** A target's response header: what ordinary gateways allow. Slow calls of an API take 10 s. */
export const RESPONSE_TIMEOUT_MS = 60_000;
/** A caller that leaves without a byte of a response has waited for one, if it was for so long. */
export const ABANDONED_AFTER_MS = 1_000;
/** Notices to an agent's connection about targets' failures, at once and sustained per second: fewer than it takes of all kinds. */
export const FAILURE_NOTICES_BURST = 64;
export const FAILURE_NOTICES_PER_S = 1;

/** Idle keep-alive streams to a target: below node's and nginx's own keep-alive timeouts, so that we close first. */
export const TARGET_KEEPALIVE_MS = 4_000;

/** Response header of a target. */
export const MAX_RESPONSE_HEADER_BYTES: number = 64 * 1024;

/** A header block to an HTTP/2 caller, as nghttp2 counts it (12 bytes more for each field): above what a response header
 * of {@link MAX_RESPONSE_HEADER_BYTES} can become, because a larger one would end the caller's whole connection. */
export const MAX_HTTP2_HEADER_BLOCK_BYTES: number = 256 * 1024;

/** 1xx responses before one final response, and their bytes: a target that sends more has lost its way. It gets
 * `target_protocol`, and its connection is closed. */
export const MAX_INFORMATIONAL_RESPONSES = 1_000;
export const MAX_INFORMATIONAL_BYTES: number = 1024 * 1024;

/** Of these, those that are passed on, and the bytes of their fields: a page has a few. Further ones are dropped. */
export const PASSED_INFORMATIONAL_RESPONSES = 64;
export const PASSED_INFORMATIONAL_BYTES: number = 64 * 1024;

/** While a caller has so much left to read, 1xx responses for it are dropped. */
export const MAX_PENDING_INFORMATIONAL_BYTES: number = 64 * 1024;

/** Request header of a caller; on HTTP/2 with 32 bytes more for each field (RFC 9113 §6.5.2). Above it: 431. */
export const MAX_REQUEST_HEADER_BYTES: number = 32 * 1024;

/** Above this node resets an HTTP/2 caller's stream (ENHANCE_YOUR_CALM): more than {@link MAX_REQUEST_HEADER_BYTES}, so that
 * what is only somewhat too large gets that error. */
export const MAX_HTTP2_REQUEST_HEADER_BYTES: number = 64 * 1024;

/** A body without Content-Length for a target that needs one is held back up to here, to be measured. */
export const MAX_MEASURED_BODY_BYTES: number = 8 * 1024 * 1024;

/** For a target whose HTTP version is not known yet: held back up to here or this long, then sent chunked. */
export const UNKNOWN_TARGET_HOLD_BYTES: number = 64 * 1024;
export const UNKNOWN_TARGET_HOLD_MS = 1_000;

/** Bytes of a request that is no longer wanted are read and dropped up to here, so that the caller sees our response. */
export const MAX_DISCARDED_BODY_BYTES: number = 1024 * 1024;

/** Connections that the kernel holds for us until they are accepted: thousands of agents dial at once after a restart
 * (node's default is 511; Linux caps it at `net.core.somaxconn`, 4,096 by default). */
export const LISTEN_BACKLOG = 4_096;

/** Reconnects of agents per millisecond after a restart: what one core takes, TLS included. */
export const RECONNECTS_PER_MS = 1;
/** However many agents there are, they spread their reconnects over at most this. */
export const MAX_SPREAD_MS = 8_000;
/** How often agents are notified if their number has changed considerably. */
export const SPREAD_NOTICE_INTERVAL_MS = 1_000;
/** Agents that are notified at once. */
export const SPREAD_NOTICES_AT_ONCE = 200;
/** It is not notified while it changes by more than one in so many between two of these, for at most so many of them. */
export const STEADY_SPREAD_DIVISOR = 10;
export const MAX_CHANGING_TICKS = 10;
/** Smaller changes of the spread are not notified. */
export const SPREAD_TOLERANCE_MS = 250;

/** For the first bytes of a connection, up to the end of an HTTP/1.1 request line, and for the TLS handshake. */
export const SNIFF_TIMEOUT_MS = 10_000;

/** Responses of an agent's own routes: `/hello`, `/credential`, `/metrics`. */
export const AGENT_REQUEST_TIMEOUT_MS = 10_000;

/** Before `/events` is requested again if it ended before its tunnel connection. */
export const EVENTS_RETRY_MS = 1_000;
/** Longest pause before that, where it ends again and again: each time `/hello` is read. */
export const MAX_EVENTS_RETRY_MS = 60_000;
/** `/events` that lasted so long are requested again after the shortest pause. */
export const EVENTS_STABLE_MS = 10_000;
/** Notices to one agent without a response yet; further ones are dropped, as nothing depends on them. */
export const MAX_PENDING_NOTICES = 16;

/** Changes of runners that one connection may report on `/events` at once, and sustained: all containers of several hosts
 * may start at once, and a crash loop goes on for hours. Further ones wait, and of each runner only the last state counts. */
export const AGENT_CHANGES_BURST = 1_024;
export const AGENT_CHANGES_PER_S = 16;
/** The same for all agents of one credential together. */
export const CREDENTIAL_CHANGES_BURST = 8_192;
export const CREDENTIAL_CHANGES_PER_S = 64;
/** Runners whose changes wait, of one connection; then its `/events` are not read. Twice what it may serve: each may be
 * withdrawn for another one. */
export const MAX_PENDING_CHANGES = 512;
/** Changes that are applied in one turn of the event loop: each is an event, and costs up to a millisecond. */
export const CHANGES_PER_TURN = 32;
/** Bytes of `/events` that are read of one connection at once, and sustained; each line counts as some more. Above it the
 * stream is not read. 4 MiB are 10,000 changes. */
export const EVENT_BYTES_BURST: number = 4 * 1024 * 1024;
export const EVENT_BYTES_PER_S: number = 64 * 1024;
export const EVENT_LINE_COST_BYTES = 128;
/** The same for all agents of one credential together. */
export const CREDENTIAL_EVENT_BYTES_BURST: number = 16 * 1024 * 1024;
export const CREDENTIAL_EVENT_BYTES_PER_S: number = 1024 * 1024;
/** Lines of `/events` that are not valid, on one connection; then it is closed. A correct agent sends none. */
export const MAX_INVALID_EVENTS = 100;
/** A connection that reports more than it may for so long is closed. */
export const EVENTS_EXCESS_MS = 60_000;

/** A connection that an agent ends sooner counts as short: it has cost a handshake, events and log lines for nothing. */
export const SHORT_CONNECTION_MS = 10_000;
/** Short connections for one runner, at once and sustained: an agent that crashes at each start makes two every few seconds.
 * Above it the next ones get 429. */
export const RUNNER_SHORT_CONNECTIONS_BURST = 64;
export const RUNNER_SHORT_CONNECTIONS_PER_S = 1;
/** The same for one credential: thousands of agents may be cut off twice in a row. */
export const CREDENTIAL_SHORT_CONNECTIONS_BURST = 4_096;
export const CREDENTIAL_SHORT_CONNECTIONS_PER_S = 16;
/** Agents of one credential between their upgrade and their registration: 1,000 that return within a second, on slow paths. */
export const MAX_ADMISSIONS_PER_CREDENTIAL = 1_024;
/** Checks of agents, which register nothing, of one credential, at once and sustained: each agent makes a few at its start. */
export const CREDENTIAL_CHECKS_BURST = 256;
export const CREDENTIAL_CHECKS_PER_S = 4;
/** Log lines in a minute about the agents of one credential, their runners and connections; the rest are counted. */
export const AGENT_LINES_PER_MINUTE = 600;

/** Streams of one caller's HTTP/2 connection. */
export const CALLER_MAX_STREAMS = 256;
/** Windows of a caller's HTTP/2 connection: 1 MiB a stream is 160 Mbit/s at 50 ms, and 8 MiB is eight of them. */
export const CALLER_STREAM_WINDOW_BYTES: number = 1024 * 1024;
export const CALLER_WINDOW_BYTES: number = 8 * 1024 * 1024;
/** Memory of a caller's HTTP/2 connection as node counts it, in megabytes; above it new streams are refused. Node's default
 * of 10 is less than {@link CALLER_MAX_STREAMS} uploads may hold. */
export const CALLER_SESSION_MEMORY_MB = 64;

/** A refused caller has this long to read the response. */
export const REFUSAL_LINGER_MS = 2_000;

/** Parse errors on a connection whose last response is still under way; then it is destroyed. */
export const MAX_PARSE_ERRORS = 1_000;

/** A CONNECT or an upgrade that is pipelined behind unfinished responses waits this long for its turn: as long as a
 * response header may take. */
export const UPGRADE_TURN_TIMEOUT_MS = 60_000;

/** Idle keep-alive connections of callers: above the 60 s of the usual load balancers, so that they close first. */
export const CALLER_KEEPALIVE_MS = 75_000;

/** While the control plane drains: a caller's connection is closed only when it has been idle for so long, because a request
 * may be on its way. A new HTTP/2 connection gets GOAWAY after this time. */
export const CALLER_MIN_IDLE_MS = 1_000;
/** After a successor has taken over: the last requests of callers that have been sent to it have come by then. */
export const LAST_REQUESTS_MS = 2_000;
/** How often idle connections are looked at in a drain. */
export const IDLE_POLL_MS = 50;
/** What has arrived during a drain is not waited for longer than this: enough for ordinary requests. */
export const LATE_REQUESTS_MS = 1_000;
/** From the last GOAWAY to the end: for the last responses and close frames, while new connections are refused. */
export const FLUSH_MS = 500;
/** How often it is looked at whether the connections of HTTP/2 callers have closed then. */
export const FLUSH_POLL_MS = 5;
/** After a start on an inherited socket, dials wait for runners that are not known yet: their agents are on their way from
 * the predecessor, over at most {@link MAX_SPREAD_MS}. */
export const ARRIVALS_MS = 10_000;

/** A caller's request header must be complete by then, and how often that is checked (node's default is 30 s). */
export const CALLER_HEADERS_TIMEOUT_MS = 30_000;
export const CALLER_HEADERS_CHECK_MS = 5_000;

/** A PROXY header with all that reverse proxies add: 232 bytes of addresses, and TLVs of certificates and names. */
export const MAX_PROXY_HEADER_BYTES = 4_096;

/** Trusted proxies in a row: more than any deployment has. A forged list may be as long as a header. */
export const MAX_FORWARDED_HOPS = 32;
/** Logins bound to a connection (NTLM) that one caller's connection holds: each has a stream of its own. */
export const MAX_LOGINS_PER_CALLER = 8;

/** Path prefix that trusted proxies have removed: it is put into every cookie and redirect. */
export const MAX_FORWARDED_PREFIX_LENGTH = 256;

/** Token file: size, and how often it is read. */
export const MAX_TOKEN_FILE_BYTES: number = 4 * 1024 * 1024;
export const TOKEN_FILE_POLL_MS = 500;
/** Entries of the token file that one log line names. */
export const REPORTED_ENTRIES = 5;
/** Hashes of revoked tokens that are remembered, so that whoever uses one is told so. */
export const MAX_FORMER_TOKENS = 4_096;

/** Certificate, key, CA and revocation list: size, how often they are read, and how long a new certificate and key may
 * disagree before that is an error. */
export const MAX_TLS_FILE_BYTES: number = 1024 * 1024;
export const MAX_REVOCATION_FILE_BYTES: number = 16 * 1024 * 1024;
export const TLS_FILES_POLL_MS = 500;
export const TLS_PAIR_DEADLINE_MS = 10_000;

/** Refused peers that are logged in a minute; the rest are counted. */
export const REFUSALS_LOGGED_PER_MINUTE = 60;

/** A sign-in that is not used for so long ends: a browser that was left open. */
export const SIGN_IN_IDLE_MS: number = 30 * 60_000;
/** One that is used ends at the latest then: a working day. */
export const SIGN_IN_MAX_MS: number = 12 * 60 * 60_000;
/** How often those that have ended are looked for. A request with one never passes; what it has opened lives so much longer. */
export const SIGN_IN_SWEEP_MS = 10_000;
/** Body of a sign-in: a token, which is read before anyone is known. */
export const MAX_SIGN_IN_BODY_BYTES = 4_096;

/** Names that users choose. */
export const MAX_NAME_LENGTH = 200;

/** Recent requests in one response, and how many there are unless the caller names a number: half a megabyte, and a page. */
export const MAX_RECENT_RESPONSE_REQUESTS = 1_000;
export const DEFAULT_RECENT_REQUESTS = 200;
/** The same of entries of the audit trail. */
export const MAX_AUDIT_RESPONSE_ENTRIES = 1_000;
export const DEFAULT_AUDIT_ENTRIES = 200;
/** Runners that a list of what a credential has open names. */
export const MAX_LISTED_RUNNERS = 100;

/** A data directory that another process is about to release: how often it is tried. */
export const STORE_LOCK_POLL_MS = 20;
