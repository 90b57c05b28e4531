/**
 * Signalling of one stream: JSON messages in Rust's externally tagged enums, here as `{ tag, value }`.
 *
 *     → AuthenticateAndInit
 *     ← UpdateApp, StageComplete, WebRtcConfig, StageStarting, … ConnectionComplete
 *     → Signaling: the offer           ← Signaling: the answer, candidates
 */
import { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import { parseJson } from "../http/lossless-json.ts";
import type { Closing, MessageSocket } from "../http/message-socket.ts";
import { nullable, optional, variantOf } from "../http/tolerant.ts";
import { moonlightIdSchema } from "./ids.ts";
import type { MoonlightId } from "./ids.ts";

/** Parameters of a new stream; the client adds the credentials. */
export interface HostStreamInit {
  session_id: string;
  /** `create`: a new session; `keepalive`: one that continues without a viewer; `join`: another viewer's. */
  mode: "create" | "keepalive" | "join";
  client_unique_id?: string;
  host_id: MoonlightId;
  app_id: MoonlightId;
  bitrate: number;
  packet_size: number;
  fps: number;
  width: number;
  height: number;
  video_sample_queue_size: number;
  play_audio_local: boolean;
  audio_sample_queue_size: number;
  video_supported_formats: number;
  video_colorspace: string;
  video_color_range_full: boolean;
}

export interface SessionDescription {
  ty: "offer" | "answer" | "pranswer" | "rollback" | "unspecified";
  sdp: string;
}

export interface IceCandidate {
  candidate: string;
  sdp_mid?: string | null | undefined;
  sdp_mline_index?: number | null | undefined;
  username_fragment?: string | null | undefined;
}

export type Signal = { Description: SessionDescription } | { AddIceCandidate: IceCandidate };

export interface IceServer {
  urls: string[];
  username?: string | undefined;
  credential?: string | undefined;
}

/** Why there is no stream (any more): a bare string, usually right before the end. */
export type HostStreamWord =
  | "InternalServerError"
  | "HostNotFound"
  | "AppNotFound"
  | "HostNotPaired"
  | "AlreadyStreaming"
  | "SessionNotFound"
  | "ClientKicked"
  | "PeerDisconnect";

export type HostStreamMessage =
  | { tag: "WebRtcConfig"; value: { ice_servers: IceServer[] } }
  | { tag: "Signaling"; value: Signal }
  | { tag: "UpdateApp"; value: { app: { app_id: MoonlightId; title: string } } }
  | { tag: "StageStarting" | "StageComplete"; value: { stage: string } }
  | { tag: "StageFailed"; value: { stage: string; error_code?: number | undefined } }
  | { tag: "ConnectionComplete"; value: ConnectionComplete }
  | { tag: "ConnectionTerminated"; value: { error_code?: number | undefined } }
  | { tag: HostStreamWord; value: undefined }
  /** A message of a newer Moonlight Web, or one in a form that is not known here. */
  | { tag: "unknown"; value: { name: string; value: unknown } };

export interface ConnectionComplete {
  capabilities: { touch?: boolean | undefined };
  width?: number | undefined;
  height?: number | undefined;
  /** Text in Helix's fork. */
  client_id?: string | number | null | undefined;
}

/** Open until `close` is called or `await using` disposes of it. */
export class HostStream implements AsyncIterable<HostStreamMessage>, AsyncDisposable {
  readonly #socket: MessageSocket;

  /** Use {@link MoonlightClient.openStream}. */
  constructor(socket: MessageSocket) {
    this.#socket = socket;
  }

  /** How it ended; never rejects. */
  get closed(): Promise<Closing> {
    return this.#socket.closed;
  }

  signal(signal: Signal): Promise<void> {
    return this.#socket.send(JSON.stringify({ Signaling: signal }));
  }

  /**
   * For one reader at a time.
   *
   * @throws TurnaboutError `target_closed` if it ends without a close frame, as after wrong credentials
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<HostStreamMessage, void, undefined> {
    for await (const message of this.#socket) {
      yield parseMessage(message.kind === "text" ? message.text : message.bytes.toString("utf8"));
    }
  }

  close(): Promise<void> {
    return this.#socket.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

const stage = z.looseObject({ stage: z.string() });
const errorCode = { error_code: optional(z.number()) };

const candidate: z.ZodType<IceCandidate> = z.looseObject({
  candidate: z.string(),
  sdp_mid: nullable(z.string()),
  sdp_mline_index: nullable(z.number()),
  username_fragment: nullable(z.string()),
});

const signal: z.ZodType<Signal> = z.union([
  z.looseObject({
    Description: z.looseObject({
      ty: z.enum(["offer", "answer", "pranswer", "rollback", "unspecified"]),
      sdp: z.string(),
    }),
  }),
  z.looseObject({ AddIceCandidate: candidate }),
]);

const iceServer: z.ZodType<IceServer> = z.looseObject({
  // WebRTC's own type allows a single one.
  urls: z.union([z.array(z.string()), z.string().transform((url) => [url])]),
  username: optional(z.string()),
  credential: optional(z.string()),
});

const WORDS: readonly HostStreamWord[] = [
  "InternalServerError",
  "HostNotFound",
  "AppNotFound",
  "HostNotPaired",
  "AlreadyStreaming",
  "SessionNotFound",
  "ClientKicked",
  "PeerDisconnect",
];

const tagged = z.discriminatedUnion("tag", [
  z.object({ tag: z.literal("WebRtcConfig"), value: z.looseObject({ ice_servers: z.array(iceServer) }) }),
  z.object({ tag: z.literal("Signaling"), value: signal }),
  z.object({
    tag: z.literal("UpdateApp"),
    value: z.looseObject({ app: z.looseObject({ app_id: moonlightIdSchema, title: z.string() }) }),
  }),
  z.object({ tag: z.literal("StageStarting"), value: stage }),
  z.object({ tag: z.literal("StageComplete"), value: stage }),
  z.object({ tag: z.literal("StageFailed"), value: stage.extend(errorCode) }),
  z.object({
    tag: z.literal("ConnectionComplete"),
    value: z.looseObject({
      capabilities: z.looseObject({ touch: optional(z.boolean()) }).catch({ touch: undefined }),
      width: optional(z.number()),
      height: optional(z.number()),
      client_id: nullable(moonlightIdSchema),
    }),
  }),
  z.object({ tag: z.literal("ConnectionTerminated"), value: z.looseObject(errorCode) }),
]);

/** A known name with a value that is not known here is an unknown message: it does not end the stream. */
function parseMessage(text: string): HostStreamMessage {
  const { name, value } = variantOf(parsed(text)) ?? {};
  if (name === undefined) throw unexpected();
  const word = WORDS.find((known) => known === name);
  if (word !== undefined) return { tag: word, value: undefined };
  return tagged.safeParse({ tag: name, value }).data ?? { tag: "unknown", value: { name, value } };
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    throw unexpected(cause);
  }
}

function unexpected(cause?: unknown): TurnaboutError {
  return new TurnaboutError("target_protocol", "moonlight WS /api/host/stream: unexpected message", {
    cause,
  });
}
