/** What one credential or one client address may hold, with the reasons. Nothing here is met in ordinary use. */

/**
 * Besides a bound of its own, a holder may have at most this many times as many places as it leaves free. So one alone gets
 * 7/8 of them, two get 7/15 each, and there is always a place for the next.
 */
export const FREE_SHARE = 7;
/** The same for admins, whose one credential often stands for many users: alone, 31/32. */
export const OPERATOR_FREE_SHARE = 31;

/** Callers at targets whose keys are kept: some hundred bytes each. Beyond it all are joined anew. */
export const MAX_PLACE_KEYS = 4_096;

/** Keys that are counted no longer and that are kept nevertheless; beyond it at most as many as are counted. */
export const MAX_ZERO_COUNTS = 64;

/** Streams to one target of one credential, an admin's too. An agent takes more, so that it leaves room for others. */
export const TARGET_STREAMS_PER_HOLDER = 512;
/** Targets and callers whose share is used up and that are remembered for one runner; the oldest is forgotten first. */
export const MAX_EXHAUSTED_SHARES = 1_024;

/** Requests, WebSockets, tunnels and event streams of one credential that are open at once, at all targets together. */
export const OPEN_STREAMS_PER_CALLER = 4_096;
/** The same of an admin. */
export const OPEN_STREAMS_PER_OPERATOR = 16_384;
/** And of all callers: four times what the largest may have. */
export const MAX_OPEN_STREAMS = 65_536;

/** Readers of `GET /api/v1/events`: a user has a few pages open, and each writes every event of the user's. */
export const EVENT_READERS_PER_CALLER = 100;
export const EVENT_READERS_PER_OPERATOR = 500;
/** Each may have a bounded amount unsent. */
export const MAX_EVENT_READERS = 1_000;

/** Readers of `GET /api/v1/access-log`: each looks at every request when it ends. */
export const ACCESS_READERS_PER_CALLER = 4;
export const ACCESS_READERS_PER_OPERATOR = 16;
export const MAX_ACCESS_READERS = 64;

/** Browsers that are signed in: of each further one, the user's least recently used is signed out. */
export const SIGN_INS_PER_CALLER = 32;
/** One admin token may serve a team. */
export const SIGN_INS_PER_OPERATOR = 128;
export const MAX_SIGN_INS = 4_096;

/** How long a turn of the event loop may be before further requests to targets wait for the next one. Each takes 0.1 to 1 ms. */
export const EXCHANGES_TURN_MS = 8;
/** The same while connections arrive: behind five hundred a new one waits as many turns. */
export const ARRIVAL_TURN_MS = 0.5;
/** And requests begin in one of so many turns: to accept a connection takes a tenth of a millisecond. */
export const ARRIVAL_TURNS = 4;
/** A response of which so much has come moves much data. */
export const BULK_RESPONSE_BYTES: number = 64 * 1024;
/** For so long: until the buffers on its way are full. Event streams and downloads go on for days. */
export const BULK_MS = 2_000;
/** A credential with so many of them begins one request to a target in each turn. They fill any line. */
export const BULK_EXCHANGES_AT_ONCE = 16;
/** Credentials whose bulk is remembered; the oldest is forgotten first. */
export const MAX_BULK_HOLDERS = 1_024;
/** While connections arrive it begins one in so many turns. */
export const BULK_ARRIVAL_TURNS = 8;

/** Pieces of content below 1 KiB that one credential's responses pass in a turn; each takes 1 to 3 µs. Others' turns come next. */
export const SMALL_PIECES_PER_TURN = 512;
/** How long content that waits for a turn may take of it, all credentials together. The first may take longer. */
export const CONTENT_TURN_MS = 8;

/** Runners that have never connected, for which dials wait: callers can invent ids. */
export const UNKNOWN_RUNNERS_PER_CALLER = 100;
export const UNKNOWN_RUNNERS_PER_OPERATOR = 500;
export const MAX_UNKNOWN_RUNNERS = 1_000;

/** A caller to whom nothing could be delivered for this long, though bytes wait for it, has stopped reading: as nginx's
 * `send_timeout`. Streams with nothing to deliver are not affected. */
export const CALLER_STALL_MS = 60_000;
/** An HTTP/2 stream whose connection moves on may only wait for its turn: a slow path with many streams. It has this many
 * times as long. */
export const STALL_TURNS = 5;
/** A connection that delivers less than this in {@link CALLER_STALL_MS} does not move on: acknowledgements of PINGs do not
 * count. */
export const MOVING_CONNECTION_BYTES: number = 64 * 1024;
/** How often unread bytes are counted: a fast target fills some 2 MiB for each stream meanwhile. */
export const UNREAD_CHECK_MS = 100;
/** And when so many more streams are open: a caller can open hundreds in a moment. */
export const UNREAD_CHECK_STREAMS = 16;
/** And at least one for so many that are open: each check looks at all of them. */
export const UNREAD_CHECK_GROWTH = 8;
/** A stream with so many unread bytes that has not moved since the last check is expected to fill its window. */
export const STILL_STREAM_BYTES: number = 64 * 1024;
/** For so long, a stream that moves much data may only fill the buffers on its way, the system's included: it is expected to
 * fill its window. */
export const FILLING_MS = 1_000;
/** More than all of them hold: who has been sent so much has read some of it. */
export const READ_PROOF_BYTES: number = 8 * 1024 * 1024;
/** Bytes held in memory for the exchanges of one credential: 64 streams that are not read at all. Above it the one that has
 * moved least recently is ended. */
export const UNREAD_BYTES_PER_CALLER: number = 128 * 1024 * 1024;
export const UNREAD_BYTES_PER_OPERATOR: number = 512 * 1024 * 1024;
/** A credential that is expected to hold so many hundredths of that gets no further streams until some are read: each would take
 * memory of those that it has, and filling them takes turns of the event loop from others. */
export const UNREAD_BYTES_FULL_PERCENT = 50;
/** And for all together; then the credential with the most loses one. */
export const MAX_UNREAD_BYTES: number = 1024 * 1024 * 1024;

/** Requests a second without a credential, of one client address, and how many at once. A page of a browser makes dozens. */
export const ANONYMOUS_REQUESTS_PER_S = 100;
export const ANONYMOUS_BURST = 1_000;
/** Requests a second with a credential that is not valid: agents behind one address whose token was revoked try every 5 s. */
export const FAILED_CREDENTIALS_PER_S = 20;
export const FAILED_CREDENTIALS_BURST = 200;
/** A body of an API request that is larger counts against its credential, because JSON can be written so that a mebibyte takes
 * 100 ms of the event loop. Bodies of this size take less than their requests do. */
export const LARGE_BODY_BYTES: number = 16 * 1024;
export const LARGE_BODY_BYTES_PER_S: number = 256 * 1024;
/** The largest body, once. */
export const LARGE_BODY_BYTES_BURST: number = 1024 * 1024;
/** An admin may send so many times as much. */
export const OPERATOR_LARGE_BODIES = 4;
/** Log lines a second about failed requests of one client address, and of all together. */
export const REFUSAL_LINES_PER_S = 10;
export const REFUSAL_LINES_BURST = 100;
export const MAX_REFUSAL_LINES_PER_S = 200;
export const MAX_REFUSAL_LINES_BURST = 2_000;
/** Addresses whose rate is remembered; the one not seen for the longest is forgotten first. */
export const MAX_RATED_ADDRESSES = 10_000;
