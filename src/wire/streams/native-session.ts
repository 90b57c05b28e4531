/**
 * Keeps the native object of an HTTP/2 session until those of its streams have been freed.
 *
 * A native stream holds the fields of a header block until its peer completes the block, in memory that its session counts:
 * node aborts the process if garbage collection frees the session before the stream. node itself frees a stream in the turn
 * after its end, unless a write of the stream is on the socket: then garbage collection does, often together with the session,
 * and in any order.
 */
import type { Http2Session, Http2Stream } from "node:http2";
import { Readable } from "node:stream";

/** Of a native object that has been freed: node's `kInvalidAsyncId`. */
const FREED = -1;

interface Kept {
  readonly session: object;
  readonly stream: object | undefined;
}

/** Holds the native session until garbage collection has freed the native stream. */
const collected = new FinalizationRegistry<object>(() => {});
/** Since the last turn, and in the turn before. */
let recent: Kept[] = [];
let earlier: Kept[] = [];
let isScheduled = false;
/** node's property for the native object of a session or stream. */
let nativeKey: symbol | undefined;

/** The native object, if there is one now: a session has none before 'connect', a stream none before 'ready', neither at its end. */
export function nativeOf(owner: Http2Session | Http2Stream): object | undefined {
  nativeKey ??= Object.getOwnPropertySymbols(owner).find(({ description }) => description === "kHandle");
  const native: unknown = nativeKey === undefined ? undefined : Reflect.get(owner, nativeKey);
  return typeof native === "object" && native !== null ? native : undefined;
}

/**
 * Drops what the carrier of a session has read for it and not passed on. Call it at the session's end. One tick after a session's
 * creation node passes on what the carrier had read before, piece by piece, also to a session that has ended meanwhile, or by the
 * first piece; that throws, out of reach of any handler.
 */
export function dropUnreadBytes(carrier: Readable | undefined): void {
  while (carrier !== undefined && carrier.readableLength > 0 && carrier.read() !== null);
}

/** The session's carrier itself: `http2Session.socket` is a proxy that cannot be read from. */
export function carrierOf(http2Session: Http2Session): Readable | undefined {
  const key = Object.getOwnPropertySymbols(http2Session).find(({ description }) => description === "socket");
  const carrier: unknown = key === undefined ? undefined : Reflect.get(http2Session, key);
  return carrier instanceof Readable ? carrier : undefined;
}

/** Call it at the end of the session, and of each of its streams. Streams that JavaScript never sees are freed in two turns. */
export function keepNativeSession(session: object | undefined, stream?: object): void {
  if (session === undefined) return;
  recent.push({ session, stream });
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(onTurn);
}

/** What ends in the turn's first part, in which node frees streams, is freed in the next turn: so two. */
function onTurn(): void {
  for (const { session, stream } of earlier) {
    if (stream !== undefined && !isFreed(stream)) collected.register(stream, session);
  }
  earlier = recent;
  recent = [];
  isScheduled = earlier.length > 0;
  if (isScheduled) setImmediate(onTurn);
}

function isFreed(native: object): boolean {
  return "getAsyncId" in native && typeof native.getAsyncId === "function" && native.getAsyncId() === FREED;
}
