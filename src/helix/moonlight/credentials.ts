/**
 * Moonlight Web's own credentials: the control plane knows them, the browser never sees them, and the caller's never
 * reach Moonlight. On HTTP they are a bearer token; on signalling WebSockets they stand in the first message.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import type { Pump } from "../../wire/streams/splice.ts";
import { encodeMaskedText, FirstMessageReader } from "../../wire/streams/websocket-frames.ts";

/** Reconnects of one session that come faster than this deadlock Wolf's encoders (Helix's figure). */
const SESSION_RATE_MS = 3_000;
/** Sessions whose last attempt is remembered. */
const MAX_REMEMBERED = 10_000;
/** `AuthenticateAndInit` is a few hundred bytes. */
const MAX_FIRST_MESSAGE_BYTES: number = 64 * 1024;

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
      if (message.kind === "unmasked") return refuse({ code: 1002, reason: "unmasked frame" });
      if (message.kind === "other") from.unshift(message.bytes);
      else {
        const text = withCredentials(message.text, credentials, session);
        if (text === undefined) return refuse({ code: 1008, reason: "the message names another session" });
        if (message.rest.length > 0) from.unshift(message.rest);
        to.write(Buffer.concat([message.before, encodeMaskedText(text)]));
      }
      from.pipe(to, { end: false });
    };
    from.on("data", onData);
  };
}

/**
 * The first message with our credentials in place of whatever the caller wrote. Undefined where it names another session,
 * in whatever kind of message: with our credentials it could join that one's stream. What was looked at is what passes:
 * of two members with one name the first would otherwise reach a reader that takes it.
 */
export function withCredentials(text: string, credentials: string, session: string): string | undefined {
  let isForeign = false;
  let message: unknown;
  try {
    message = lossless.parse(text, (key, value, { source }) => {
      if (key === "session_id" && namesAnother(value, session)) isForeign = true;
      return typeof value === "number" && source !== undefined ? lossless.rawJSON(source) : value;
    });
  } catch {
    return text;
  }
  if (isForeign) return undefined;
  if (typeof message !== "object" || message === null) return text;
  const { AuthenticateAndInit: init } = message as { AuthenticateAndInit?: unknown };
  return JSON.stringify(
    typeof init === "object" && init !== null ? { AuthenticateAndInit: { ...init, credentials } } : message,
  );
}

function namesAnother(id: unknown, session: string): boolean {
  return typeof id === "string" && [...id.matchAll(/ses_[a-z0-9_]+/gi)].some(([name]) => name !== session);
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
