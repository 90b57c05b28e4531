/**
 * What a viewer may send: Rust's externally tagged enums, parsed as strictly as the real server's deserializer does it.
 * An unknown tag, a missing field or a field of another type is an error there, and an error ends the handler.
 */

export interface StreamInit {
  credentials: string | null;
  client_unique_id: string | null;
  session_id: string;
  mode: StreamMode;
  host_id: number;
  app_id: number;
  width: number;
  height: number;
}

/** `create` opens a new stream, `keepalive` one that needs no viewer, `join` an existing one. */
export type StreamMode = "create" | "keepalive" | "join";

export type ClientMessage =
  | { tag: "AuthenticateAndInit"; init: StreamInit }
  | { tag: "Signaling"; signal: Readonly<Record<string, unknown>> };

type Check = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Check>>;

const isString: Check = (value) => typeof value === "string";
const isBoolean: Check = (value) => typeof value === "boolean";
const isNumber: Check = (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 32;
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || value === null || check(value);
const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value as string);

const INIT: Shape = {
  credentials: optional(isString),
  client_unique_id: optional(isString),
  session_id: isString,
  mode: oneOf("create", "keepalive", "join"),
  host_id: isNumber,
  app_id: isNumber,
  bitrate: isNumber,
  packet_size: isNumber,
  fps: isNumber,
  width: isNumber,
  height: isNumber,
  video_sample_queue_size: isNumber,
  play_audio_local: isBoolean,
  audio_sample_queue_size: isNumber,
  video_supported_formats: isNumber,
  video_colorspace: oneOf("Rec601", "Rec709", "Rec2020"),
  video_color_range_full: isBoolean,
};

const DESCRIPTION: Shape = {
  ty: oneOf("offer", "answer", "pranswer", "rollback", "unspecified"),
  sdp: isString,
};

const CANDIDATE: Shape = {
  candidate: isString,
  sdp_mid: optional(isString),
  sdp_mline_index: optional(isNumber),
  username_fragment: optional(isString),
};

/** Undefined where the real server's deserializer fails. */
export function parseClientMessage(text: string): ClientMessage | undefined {
  const [tag, value] = tagged(text);
  if (tag === "AuthenticateAndInit" && has(value, INIT)) {
    const { credentials = null, client_unique_id = null } = value;
    return { tag, init: { ...value, credentials, client_unique_id } as StreamInit };
  }
  return tag === "Signaling" && isSignal(value) ? { tag, signal: value } : undefined;
}

export function isSignal(value: unknown): value is Readonly<Record<string, unknown>> {
  const [[tag, inner] = ["", undefined]] = Object.entries(value ?? {});
  return (
    (tag === "Description" && has(inner, DESCRIPTION)) || (tag === "AddIceCandidate" && has(inner, CANDIDATE))
  );
}

/** The one key of a message and its value. */
export function tagged(text: string): [tag: string | undefined, value: unknown] {
  try {
    const [[tag, value] = ["", undefined], another] = Object.entries(JSON.parse(text) as object);
    return another === undefined ? [tag, value] : [undefined, undefined];
  } catch {
    return [undefined, undefined];
  }
}

function has(value: unknown, shape: Shape): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const fields = value as Readonly<Record<string, unknown>>;
  return Object.entries(shape).every(([name, check]) => check(fields[name]));
}
