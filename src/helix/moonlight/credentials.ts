/**
 * Moonlight Web's own credentials: the control plane knows them, the browser never sees them, and the caller's never
 * reach Moonlight. On HTTP they are a bearer token; on signalling WebSockets they stand in the first message, which is
 * checked, and written anew from what was checked: two parsers may read the same bytes in two ways.
 */
import type { Duplex, Writable } from "node:stream";
import { Guard } from "../../wire/streams/guard.ts";
import type { Pump } from "../../wire/streams/splice.ts";
import { encodeMaskedText } from "../../wire/websocket/websocket-frames.ts";
import {
  FIRST_MESSAGE_TIMEOUT_MS,
  MAX_EARLY_CONTROL_FRAMES,
  MAX_FIRST_MESSAGE_BYTES,
  MAX_FIRST_MESSAGE_FRAGMENTS,
} from "../limits.ts";
import { isObject, parseExactly } from "./exact-json.ts";
import { FirstMessageReader } from "./first-message.ts";
import type { Close, FirstMessage } from "./first-message.ts";
import type { SessionStreams } from "./opened-streams.ts";

export type Refuse = (close: Close) => void;

/** Holds the caller's first message back, writes our credentials into it, and lets everything behind it pass. */
export function credentialPump(credentials: string, streams: SessionStreams, refuse: Refuse): Pump {
  return (from, to) => {
    const reader = new FirstMessageReader({
      maxBytes: MAX_FIRST_MESSAGE_BYTES,
      maxFragments: MAX_FIRST_MESSAGE_FRAGMENTS,
      maxControlFrames: MAX_EARLY_CONTROL_FRAMES,
    });
    const stop = (): void => {
      clearTimeout(timer);
      from.off("data", onData);
      from.off("close", stop);
    };
    const refuseWith = (close: Close): void => {
      stop();
      from.pause();
      refuse(close);
    };
    const guard = new Guard(() => refuseWith({ code: 1011, reason: "the first message cannot be read" }));
    const onData = guard.wrap((chunk: Buffer) => {
      const message = reader.feed(chunk);
      if (message === undefined) return;
      stop();
      from.pause();
      const close = pass(message, { from, to, credentials, streams });
      if (close !== undefined) return refuse(close);
      from.pipe(to, { end: false });
    });
    const timer = setTimeout(
      () => refuseWith({ code: 1008, reason: "no first message in time" }),
      FIRST_MESSAGE_TIMEOUT_MS,
    );
    from.on("data", onData);
    from.once("close", stop);
  };
}

interface Passage {
  from: Duplex;
  to: Writable;
  credentials: string;
  streams: SessionStreams;
}

/** @returns how the WebSocket is closed instead, if it is refused */
function pass(message: FirstMessage, { from, to, credentials, streams }: Passage): Close | undefined {
  if (message.kind === "refused") return message.close;
  if (message.kind === "close") {
    to.write(message.bytes);
    return undefined;
  }
  const checked = withCredentials(message.text, credentials, streams);
  if ("refusal" in checked) return { code: 1008, reason: checked.refusal };
  if (message.rest.length > 0) from.unshift(message.rest);
  to.write(Buffer.concat([message.before, encodeMaskedText(checked.text)]));
  return undefined;
}

/** The first message as it is sent, or why it is not. */
export type CheckedMessage = { text: string } | { refusal: string };

/**
 * Puts our credentials in place of whatever the caller wrote. A message that names another session is refused, in whatever
 * kind of message and member: with our credentials it could join that one's stream. So is one that is no JSON, and one that
 * does not create a stream where the one it names is not the session's own.
 */
export function withCredentials(text: string, credentials: string, streams: SessionStreams): CheckedMessage {
  const { session } = streams;
  const ids: string[] = [];
  let refusal: string | undefined;
  try {
    const message = parseExactly(text, (key, value) => {
      if (key === "session_id" && typeof value !== "string")
        refusal = "the message's session_id is no string";
      else if (namesAnother(value, key === "session_id" ? ANYWHERE : AS_A_WORD, session)) {
        refusal = "the message names another session";
      }
      if (key === "session_id" && typeof value === "string") ids.push(value);
    });
    if (refusal !== undefined) return { refusal };
    const isInit = isObject(message) && Object.hasOwn(message, INIT);
    const init = isInit ? message[INIT] : undefined;
    if (isInit && !isObject(init)) return { refusal: `the message's ${INIT} is no object` };
    if (isObject(init) && (init["mode"] === undefined || init["mode"] === "create")) {
      const { session_id: id } = init;
      if (typeof id === "string") streams.add(id);
    } else if (!ids.every((id) => streams.has(id) || names(id, ANYWHERE).includes(session))) {
      return { refusal: "the message names a stream that its session has not opened" };
    }
    if (!isObject(init)) return { text: JSON.stringify(message) };
    return { text: JSON.stringify({ [INIT]: { ...init, credentials } }) };
  } catch {
    return { refusal: "the first message is not JSON" };
  }
}

const INIT = "AuthenticateAndInit";

/** A name of a session. Not `processes_1`, where it is no `session_id`. */
const ANYWHERE = /ses_[a-z0-9_]+/gi;
const AS_A_WORD = /(?<![a-z0-9])ses_[a-z0-9_]+/gi;

function namesAnother(text: unknown, pattern: RegExp, session: string): boolean {
  return typeof text === "string" && names(text, pattern).some((name) => name !== session);
}

function names(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([name]) => name);
}
