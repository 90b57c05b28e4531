/** Bounds of Helix's side of the control plane, with their reasons. */

/** What one heartbeat is believed to have; of longer lists the first. */
export const MAX_HEARTBEAT_DISKS = 100;
export const MAX_HEARTBEAT_GPUS = 64;
export const MAX_HEARTBEAT_CONTAINERS = 1_000;
export const MAX_HEARTBEAT_DESKTOPS = 100;
/** Parts of a heartbeat that did not fit and are named in its response. */
export const MAX_HEARTBEAT_COMPLAINTS = 20;

/** Disk and GPU figures that are older say nothing any more: Helix's daemon sends them every 30 s, and gives up after 2 min. */
export const MAX_FIGURE_AGE_MS = 120_000;

/** How often owners without a valid token are looked for. */
export const ABANDONED_CHECK_MS = 60_000;

/** Of the first message on a stream's WebSocket. `AuthenticateAndInit` is a few hundred bytes. */
export const MAX_FIRST_MESSAGE_BYTES: number = 64 * 1024;
/** Frames that it may come in: browsers send one, libraries cut at some KiB. */
export const MAX_FIRST_MESSAGE_FRAGMENTS = 64;
/** Pings and pongs before it. */
export const MAX_EARLY_CONTROL_FRAMES = 16;
/** From the open WebSocket to the end of the first message, which a page sends at once. */
export const FIRST_MESSAGE_TIMEOUT_MS = 10_000;

/** Between two WebSockets of one session: reconnects that come faster deadlock Wolf's encoders (Helix's figure). */
export const STREAM_RATE_MS = 3_000;
/** Sessions whose last WebSocket and whose streams are remembered. */
export const MAX_REMEMBERED_STREAMS = 10_000;
/** Ids of streams that a session has opened, which it may join: one a page. */
export const OPENED_STREAMS_PER_SESSION = 16;
/** Of such an id; a page's has about 40 characters. A longer one is not remembered. */
export const MAX_STREAM_ID_LENGTH = 200;

/** Creations that wait for an instance or a place: each is a caller's open request. An admin's are often for many users. */
export const WAITING_CREATIONS_PER_USER = 50;
export const WAITING_CREATIONS_PER_ADMIN = 500;
export const MAX_WAITING_CREATIONS = 1_000;

/** Of the contents of Moonlight Web that are read to be changed: `config.js` has about 100 bytes, a host's details 1 KiB. */
export const MAX_CHANGED_CONTENT_BYTES: number = 64 * 1024;

/** Streams of a session that its pages have opened by an offer over HTTP: one a page. The oldest is ended for another one. */
export const OFFERED_STREAMS_PER_SESSION = 8;
/** Such streams that may be open, of all sessions: 8 of each of 500. Beyond it the oldest is forgotten. */
export const MAX_STORED_OFFERS = 4_000;
/** Requests to one Moonlight Web that end such streams, when many end at once. */
export const MAX_ENDING_STREAMS = 16;
export const MAX_STREAMS_WAITING_TO_END = 1_000;
export const END_STREAM_TIMEOUT_MS = 10_000;
export const MAX_END_STREAM_RESPONSE_BYTES: number = 64 * 1024;
