/**
 * Streams that a page has opened by an offer over HTTP (version 3). No connection of ours lives as long as they do, so they
 * are remembered: only their session reaches them again, and what would close a WebSocket ends them at Moonlight Web, if need be
 * when that is reached again, or by a later process.
 */
import { overTunnel } from "../../clients/dial/open-stream.ts";
import { HttpService } from "../../clients/http/service.ts";
import { toError } from "../../wire/errors.ts";
import type { Dial } from "../../wire/streams/dial.ts";
import type { ExtensionHost, Identity } from "../../control/extension.ts";
import {
  END_STREAM_TIMEOUT_MS,
  MAX_END_STREAM_RESPONSE_BYTES,
  MAX_ENDING_STREAMS,
  MAX_STREAMS_WAITING_TO_END,
  OFFERED_STREAMS_PER_SESSION,
} from "../limits.ts";
import type { OfferedStreamStore, StoredStream } from "../store/offered-streams.ts";

/** Nothing is left to end. */
const NOT_FOUND = 404;

export interface WebRtcStreamsContext {
  activeStreams: Pick<ExtensionHost["activeStreams"], "add">;
  dial: Dial;
  log: Pick<ExtensionHost["log"], "info">;
  store: OfferedStreamStore;
  /** Moonlight Web's secret. */
  credentials: string | undefined;
}

export interface OfferedStream extends StoredStream {
  /** Who has made the offer. */
  identity: Identity;
}

/** Removes it from what is open. */
type Forget = () => void;

export class WebRtcStreams {
  readonly #context: WebRtcStreamsContext;
  /** By session, and then by id, oldest first. */
  readonly #known = new Map<string, Map<string, { forget: Forget; end: Forget }>>();
  readonly #services = new Map<string, HttpService>();
  /** Requests that end a stream and have no response yet. */
  readonly #ending = new Map<StoredStream, Promise<void>>();

  constructor(context: WebRtcStreamsContext) {
    this.#context = context;
  }

  has(session: string, id: string): boolean {
    return this.#known.get(session)?.has(id) === true;
  }

  /** From now on it ends with the credential and with the session. @throws TurnaboutError `share_exceeded`, `overloaded` */
  add(stream: OfferedStream): void {
    const { identity, ...stored } = stream;
    const { session, id } = stored;
    this.#release(session, id);
    this.#context.store.add(stored);
    const end = (): void => {
      this.#release(session, id);
      this.#end(stored);
    };
    try {
      const remove = this.#context.activeStreams.add({
        identity,
        group: session,
        isEndless: () => true,
        close: end,
      });
      const streams = this.#known.get(session) ?? new Map<string, { forget: Forget; end: Forget }>();
      this.#known.set(session, streams.set(id, { forget: remove, end }));
      const [oldest] = streams.values();
      if (streams.size > OFFERED_STREAMS_PER_SESSION) oldest?.end();
    } catch (error) {
      end();
      throw error;
    }
  }

  /** Its page has ended it. */
  forget(session: string, id: string): void {
    this.#release(session, id);
    this.#context.store.remove({ session, id });
  }

  /** The runner has connected: those that could not be ended, and those of a process that was killed, are ended. */
  endLeftOver(runner: string): void {
    const ending = [...this.#ending.keys()];
    for (const stream of this.#context.store.at(runner)) {
      const isEnding = ending.some(({ session, id }) => session === stream.session && id === stream.id);
      if (!isEnding && !this.has(stream.session, stream.id)) this.#end(stream);
    }
  }

  #release(session: string, id: string): void {
    const streams = this.#known.get(session);
    streams?.get(id)?.forget();
    streams?.delete(id);
    if (streams?.size === 0) this.#known.delete(session);
  }

  /** Resolves when those that were to end have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#ending.values());
  }

  #end(stream: StoredStream): void {
    this.#ending.set(
      stream,
      this.#delete(stream).finally(() => this.#ending.delete(stream)),
    );
  }

  async #delete(stream: StoredStream): Promise<void> {
    const { credentials = "", log, store } = this.#context;
    const { session, id, runner, path, fields } = stream;
    const headers = { authorization: `Bearer ${credentials}`, ...fields };
    try {
      const { status } = await this.#service(runner).whole(
        { method: "DELETE", path, headers },
        END_STREAM_TIMEOUT_MS,
        {},
      );
      if ((status < 300 || status === NOT_FOUND) && !this.has(session, id)) store.remove(stream);
      log.info({ session, runner, status }, "WebRTC stream ended");
    } catch (error) {
      log.info({ session, runner, reason: toError(error).message }, "WebRTC stream could not be ended");
    }
  }

  /** One for each instance. */
  #service(runner: string): HttpService {
    const known = this.#services.get(runner);
    if (known !== undefined) return known;
    const service = new HttpService(overTunnel(this.#context.dial, runner, "moonlight"), {
      name: "moonlight",
      calls: { open: MAX_ENDING_STREAMS, waiting: MAX_STREAMS_WAITING_TO_END },
      streams: { open: 0, waiting: 0 },
      maxResponseBytes: MAX_END_STREAM_RESPONSE_BYTES,
    });
    this.#services.set(runner, service);
    return service;
  }
}
