/**
 * Moonlight Web's own credentials: the control plane knows them, the browser never sees them, and the caller's never
 * reach Moonlight. On HTTP they are a bearer token; on signalling WebSockets they stand in the first message.
 */
import { TurnaboutError } from "../wire/errors.ts";
import type { Pump } from "../wire/relay.ts";
import { encodeMaskedText, FirstMessageReader } from "../wire/websocket-frames.ts";

/** Reconnects of one session that come faster than this deadlock Wolf's encoders (Helix's figure). */
const SESSION_RATE_MS = 3_000;
/** Sessions whose last attempt is remembered. */
const MAX_REMEMBERED = 10_000;
/** `AuthenticateAndInit` is a few hundred bytes. */
const MAX_FIRST_MESSAGE_BYTES: number = 64 * 1024;

/** `/moonlight/api/x`, `/moonlight/x` → `/api/x`. */
export function moonlightPath(rest: string): string {
  const path = rest === "" ? "/" : rest;
  return path === "/api" || path.startsWith("/api/") || path.startsWith("/api?") ? path : `/api${path}`;
}

export type Refuse = (close: { code: number; reason: string }) => void;

/** Holds the caller's first message back, writes our credentials into it, and lets everything behind it pass. */
export function credentialPump(credentials: string, session: string, refuse: Refuse): Pump {
  return (from, to) => {
    const reader = new FirstMessageReader(MAX_FIRST_MESSAGE_BYTES);
    const onData = (chunk: Buffer): void => {
      const message = reader.feed(chunk);
      if (message === undefined) return;
      from.off("data", onData);
      from.pause();
      if (message.kind === "too-large")
        return refuse({ code: 1009, reason: "the first message is too large" });
      if (message.kind === "unmasked") return refuse({ code: 1002, reason: "a frame without a mask" });
      if (message.kind === "other") from.unshift(message.bytes);
      else {
        const text = withCredentials(message.text, credentials, session);
        if (text === undefined) return refuse({ code: 1008, reason: "the stream of another session" });
        if (message.rest.length > 0) from.unshift(message.rest);
        to.write(Buffer.concat([message.before, encodeMaskedText(text)]));
      }
      from.pipe(to, { end: false });
    };
    from.on("data", onData);
  };
}

/**
 * The first message with our credentials in place of whatever the caller wrote; other messages as they are. Undefined
 * where it names another session: with our credentials it could join that one's stream.
 */
export function withCredentials(text: string, credentials: string, session: string): string | undefined {
  let message: unknown;
  try {
    message = lossless.parse(text, (_key, value, { source }) =>
      typeof value === "number" && source !== undefined ? lossless.rawJSON(source) : value,
    );
  } catch {
    return text;
  }
  const init = (message as { AuthenticateAndInit?: unknown } | null)?.AuthenticateAndInit;
  if (typeof init !== "object" || init === null) return text;
  const { session_id: id } = init as { session_id?: unknown };
  const named = typeof id === "string" ? [...id.matchAll(/ses_[a-z0-9_]+/gi)] : [];
  if (named.some(([name]) => name !== session)) return undefined;
  return JSON.stringify({ AuthenticateAndInit: { ...init, credentials } });
}

/** TypeScript's own types do not know these yet (ECMAScript's JSON.parse source text access). */
interface LosslessJson {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
}
const lossless: LosslessJson = JSON as unknown as LosslessJson;

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
