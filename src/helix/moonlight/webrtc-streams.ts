/**
 * Streams that a page has opened by an offer over HTTP (version 3). No connection of ours lives as long as they do, so they
 * are remembered: only their session reaches them again, and what would close a WebSocket ends them at Moonlight Web.
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

export interface WebRtcStreamsContext {
  activeStreams: Pick<ExtensionHost["activeStreams"], "add">;
  dial: Dial;
  log: Pick<ExtensionHost["log"], "info">;
}

export interface OfferedStream {
  session: string;
  /** Moonlight Web's own. */
  id: string;
  /** Who has made the offer. */
  identity: Identity;
  runner: string;
  /** Path at which it is deleted, and the fields of that request. */
  path: string;
  headers: Readonly<Record<string, string>>;
}

/** Removes it from what is open. */
type Forget = () => void;

export class WebRtcStreams {
  readonly #context: WebRtcStreamsContext;
  /** By session, and then by id, oldest first. */
  readonly #known = new Map<string, Map<string, { forget: Forget; end: Forget }>>();
  readonly #services = new Map<string, HttpService>();
  /** Requests that end a stream and have no response yet. */
  readonly #ending = new Set<Promise<void>>();

  constructor(context: WebRtcStreamsContext) {
    this.#context = context;
  }

  has(session: string, id: string): boolean {
    return this.#known.get(session)?.has(id) === true;
  }

  /** From now on it ends with the credential and with the session. @throws TurnaboutError `share_exceeded`, `overloaded` */
  add(stream: OfferedStream): void {
    const { session, id, identity } = stream;
    this.forget(session, id);
    const end = (): void => {
      this.forget(session, id);
      const ending = this.#delete(stream).finally(() => this.#ending.delete(ending));
      this.#ending.add(ending);
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
    const streams = this.#known.get(session);
    streams?.get(id)?.forget();
    streams?.delete(id);
    if (streams?.size === 0) this.#known.delete(session);
  }

  /** Resolves when those that were to end have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#ending);
  }

  async #delete({ session, runner, path, headers }: OfferedStream): Promise<void> {
    const { log } = this.#context;
    try {
      const { status } = await this.#service(runner).whole(
        { method: "DELETE", path, headers },
        END_STREAM_TIMEOUT_MS,
        {},
      );
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
