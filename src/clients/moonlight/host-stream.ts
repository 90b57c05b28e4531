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

/** Parameters of a new stream; the client adds the credentials. */
export interface HostStreamInit {
  session_id: string;
  /** `create`: a new session; `keepalive`: one that continues without a viewer; `join`: another viewer's. */
  mode: "create" | "keepalive" | "join";
  client_unique_id?: string;
  host_id: number;
  app_id: number;
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
  ty: "offer" | "answer";
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
  | { tag: "UpdateApp"; value: { app: { app_id: number; title: string } } }
  | { tag: "StageStarting" | "StageComplete"; value: { stage: string } }
  | { tag: "StageFailed"; value: { stage: string; error_code: number } }
  | { tag: "ConnectionComplete"; value: ConnectionComplete }
  | { tag: "ConnectionTerminated"; value: { error_code: number } }
  | { tag: HostStreamWord; value: undefined }
  /** A message of a newer Moonlight Web. */
  | { tag: "unknown"; value: { name: string; value: unknown } };

export interface ConnectionComplete {
  capabilities: { touch?: boolean | undefined };
  width: number;
  height: number;
  client_id?: number | null | undefined;
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

const candidate: z.ZodType<IceCandidate> = z.looseObject({
  candidate: z.string(),
  sdp_mid: z.string().nullish(),
  sdp_mline_index: z.number().nullish(),
  username_fragment: z.string().nullish(),
});

const signal: z.ZodType<Signal> = z.union([
  z.looseObject({ Description: z.looseObject({ ty: z.enum(["offer", "answer"]), sdp: z.string() }) }),
  z.looseObject({ AddIceCandidate: candidate }),
]);

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
  z.object({
    tag: z.literal("WebRtcConfig"),
    value: z.looseObject({
      ice_servers: z.array(
        z.looseObject({
          urls: z.array(z.string()),
          username: z.string().optional(),
          credential: z.string().optional(),
        }),
      ),
    }),
  }),
  z.object({ tag: z.literal("Signaling"), value: signal }),
  z.object({
    tag: z.literal("UpdateApp"),
    value: z.looseObject({ app: z.looseObject({ app_id: z.number(), title: z.string() }) }),
  }),
  z.object({ tag: z.literal("StageStarting"), value: stage }),
  z.object({ tag: z.literal("StageComplete"), value: stage }),
  z.object({ tag: z.literal("StageFailed"), value: stage.extend({ error_code: z.number() }) }),
  z.object({
    tag: z.literal("ConnectionComplete"),
    value: z.looseObject({
      capabilities: z.looseObject({ touch: z.boolean().optional() }),
      width: z.number(),
      height: z.number(),
      client_id: z.number().nullish(),
    }),
  }),
  z.object({ tag: z.literal("ConnectionTerminated"), value: z.looseObject({ error_code: z.number() }) }),
]);

const KNOWN: ReadonlySet<string> = new Set(tagged.options.map(({ shape }) => shape.tag.value));

function parseMessage(text: string): HostStreamMessage {
  try {
    const message = parseJson(text);
    if (typeof message === "string") {
      const word = WORDS.find((known) => known === message);
      if (word !== undefined) return { tag: word, value: undefined };
      return { tag: "unknown", value: { name: message, value: undefined } };
    }
    const [[name, value] = ["", undefined]] = Object.entries(z.looseObject({}).parse(message));
    return KNOWN.has(name) ? tagged.parse({ tag: name, value }) : { tag: "unknown", value: { name, value } };
  } catch (cause) {
    throw new TurnaboutError("target_protocol", "moonlight WS /api/host/stream: unexpected message", {
      cause,
    });
  }
}
