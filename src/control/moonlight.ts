/**
 * Moonlight Web's own credentials: the control plane knows them, the browser never sees them, and the caller's never
 * reach Moonlight. On HTTP they are a bearer token; on signalling WebSockets they stand in the first message.
 */
import { TurnaboutError } from "../wire/errors.ts";
import { encodeMaskedText } from "../wire/websocket-frames.ts";

/** Reconnects of one session that come faster than this deadlock Wolf's encoders (Helix's figure). */
const SESSION_RATE_MS = 3_000;
/** Sessions whose last attempt is remembered. */
const MAX_REMEMBERED = 10_000;
/** `AuthenticateAndInit` is a few hundred bytes. */
export const MAX_FIRST_MESSAGE_BYTES: number = 64 * 1024;

/** `/moonlight/api/x`, `/moonlight/x` → `/api/x`. */
export function moonlightPath(rest: string): string {
  const path = rest === "" ? "/" : rest;
  return path === "/api" || path.startsWith("/api/") || path.startsWith("/api?") ? path : `/api${path}`;
}

/** The first message with our credentials in place of whatever the caller wrote; other messages as they are. */
export function withCredentials(text: string, credentials: string): Buffer {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return encodeMaskedText(text);
  }
  const init = (message as { AuthenticateAndInit?: unknown } | null)?.AuthenticateAndInit;
  if (typeof init !== "object" || init === null) return encodeMaskedText(text);
  return encodeMaskedText(JSON.stringify({ AuthenticateAndInit: { ...init, credentials } }));
}

/** One WebSocket of a session in three seconds. */
export class StreamRate {
  readonly #last = new Map<string, number>();

  /** Called before any stream is opened. @throws TurnaboutError `rate_limited` */
  take(session: string): void {
    const now = Date.now();
    const last = this.#last.get(session);
    if (last !== undefined && now - last < SESSION_RATE_MS) {
      const retryAfterS = Math.ceil((SESSION_RATE_MS - (now - last)) / 1_000);
      throw new TurnaboutError("rate_limited", `stream of ${session}: too soon`, { retryAfterS });
    }
    this.#last.delete(session);
    this.#last.set(session, now);
    if (this.#last.size <= MAX_REMEMBERED) return;
    const [oldest] = this.#last.keys();
    if (oldest !== undefined) this.#last.delete(oldest);
  }
}
