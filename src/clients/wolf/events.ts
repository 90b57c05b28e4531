/** `GET /api/v1/events`: server-sent events, until the stream is closed. */
import type { HttpResponse } from "../http/exchange.ts";
import { BoundedBuffer } from "../http/bounded-buffer.ts";
import { parseJson } from "../http/lossless-json.ts";
import { lines } from "../http/lines.ts";
import { MAX_LINE_BYTES, MAX_UNREAD_BYTES, MAX_UNREAD_ITEMS } from "./limits.ts";

/** Events that Wolf and its fork send. */
export type WolfEventName =
  | "PlugDeviceEvent"
  | "UnplugDeviceEvent"
  | "PairSignal"
  | "StreamSession"
  | "VideoSession"
  | "AudioSession"
  | "IDRRequestEvent"
  | "PauseStreamEvent"
  | "ResumeStreamEvent"
  | "StopStreamEvent"
  | "RTPVideoPingEvent"
  | "RTPAudioPingEvent"
  | "StartRunner"
  | "CreateLobbyEvent"
  | "JoinLobbyEvent"
  | "LeaveLobbyEvent"
  | "StopLobbyEvent"
  | "SwitchStreamProducerEvents"
  | "SetPipeWireNodeId"
  | "SetInputSocket"
  | "DockerPullImageStartEvent"
  | "DockerPullImageEndEvent";

export interface WolfEvent {
  /** Without its C++ namespace. Unknown ones are possible. */
  name: WolfEventName | (string & Record<never, never>);
  /** As sent: `wolf::core::events::CreateLobbyEvent`. */
  type: string;
  /** The event's JSON (64-bit ids as strings), or its text if it is not JSON. Some contain keys: do not log it. */
  data: unknown;
  /** Events dropped just before this one because the reader was too slow. Query the state again. */
  missed: number;
}

interface RawEvent {
  type: string;
  data: string;
}

/** Reads continuously, so that Wolf never has to wait. For one reader: call `close`, or leave its loop. */
export class WolfEventStream implements AsyncIterable<WolfEvent>, AsyncDisposable {
  readonly #response: HttpResponse;
  readonly #buffer: BoundedBuffer<RawEvent>;

  /** Use {@link WolfClient.events}. */
  constructor(response: HttpResponse, label: string) {
    this.#response = response;
    this.#buffer = new BoundedBuffer(parseEvents(lines(response.body, MAX_LINE_BYTES, label)), {
      maxItems: MAX_UNREAD_ITEMS,
      maxBytes: MAX_UNREAD_BYTES,
      bytesOf: ({ type, data }) => type.length + data.length,
    });
  }

  /** Undefined when Wolf has ended the stream, or after `close`. @throws TurnaboutError if it was lost */
  async next(): Promise<WolfEvent | undefined> {
    const kept = await this.#buffer.next();
    if (kept === undefined) return undefined;
    const { type, data } = kept.item;
    const name = type.slice(type.lastIndexOf(":") + 1);
    return { name, type, data: jsonOrText(data), missed: kept.missed };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<WolfEvent, void, undefined> {
    try {
      for (let event = await this.next(); event !== undefined; event = await this.next()) yield event;
    } finally {
      await this.close();
    }
  }

  close(): Promise<void> {
    return this.#response.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The part of the event stream format (HTML §9.2.6) that Wolf uses. Comments are its keep-alive. */
async function* parseEvents(from: AsyncIterable<string>): AsyncGenerator<RawEvent, void, undefined> {
  let type = "message";
  let data: string[] = [];
  for await (const line of from) {
    if (line === "") {
      if (data.length > 0) yield { type, data: data.join("\n") };
      type = "message";
      data = [];
      continue;
    }
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") type = value;
    if (field === "data") data.push(value);
  }
}

function jsonOrText(data: string): unknown {
  try {
    return parseJson(data);
  } catch {
    return data;
  }
}
