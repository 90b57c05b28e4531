/**
 * A watch that notices its own gaps. It has an ephemeral consumer of its own; a message that is missing, or a consumer that is silent,
 * makes it begin anew with another one, after the last revision that it has seen.
 *
 * The client library's own watch of a key-value store does not notice for a minute that its consumer's server has gone, and
 * never that the last message was lost on the way.
 */
import { AckPolicy, DeliverPolicy } from "@nats-io/jetstream";
import type { ConsumerConfig } from "@nats-io/jetstream";
import { createInbox, nanos } from "@nats-io/transport-node";
import type { Msg, Subscription } from "@nats-io/transport-node";
import { toError } from "../../wire/errors.ts";
import type { WatchHandlers } from "../directory/key-value.ts";
import {
  MAX_WATCH_RETRY_MS,
  WATCH_HEARTBEAT_MS,
  WATCH_RESUMABLE_MS,
  WATCH_RETRY_MS,
  WATCH_SILENCE_MS,
} from "../limits.ts";
import { EXPIRY_HEADER, openBucket, OPERATION_HEADER, streamOf, subjectOf } from "./bucket.ts";
import type { BucketOptions } from "./bucket.ts";
import { positionOf } from "./message-position.ts";
import type { NatsSession } from "./nats-client.ts";

interface WatchParts {
  bucket: BucketOptions;
  session: () => NatsSession | undefined;
  handlers: WatchHandlers;
  onProblem: (error: Error) => void;
}

/** One consumer, and what has come of it. */
interface Run {
  subscription: Subscription;
  /** Messages so far. */
  received: number;
  /** A replay whose end has not been seen. */
  isReplaying: boolean;
}

export class OrderedWatch {
  readonly #parts: WatchParts;
  readonly #prefix: string;
  #run: Run | undefined;
  #isOpening = false;
  #revision = 0;
  /** When the stream was made: revisions of another one mean nothing here. */
  #created: string | undefined;
  #lastSeenAt = -Infinity;
  #retryMs = WATCH_RETRY_MS;
  #retry: NodeJS.Timeout | undefined;
  readonly #silence: NodeJS.Timeout;
  #closed = false;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#prefix = subjectOf(parts.bucket.bucket, "");
    this.#silence = setInterval(() => this.#checkSilence(), WATCH_HEARTBEAT_MS / 2);
    this.#silence.unref();
    this.restart();
  }

  /** Begins anew, after the last revision seen. */
  restart(): void {
    this.#end();
    if (this.#isOpening || this.#closed) return;
    clearTimeout(this.#retry);
    this.#isOpening = true;
    void this.#open()
      .catch((error: unknown) => {
        this.#end();
        this.#parts.onProblem(toError(error));
      })
      .finally(() => {
        this.#isOpening = false;
        if (this.#run === undefined) this.#restartLater();
      });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#silence);
    this.#end();
  }

  async #open(): Promise<void> {
    const { bucket, session: currentSession, handlers } = this.#parts;
    const session = currentSession();
    if (session === undefined) return;
    const { created, state } = await openBucket(session, bucket);
    if (this.#closed) return;
    const isResumed =
      created === this.#created &&
      state.last_seq >= this.#revision &&
      performance.now() - this.#lastSeenAt < WATCH_RESUMABLE_MS;
    if (!isResumed) {
      this.#created = created;
      this.#revision = 0;
      handlers.onReplay();
    }
    const inbox = createInbox();
    const subscription = session.connection.subscribe(inbox, {
      callback: (error, message) => {
        if (this.#run === run) this.#onMessage(run, error, message);
      },
    });
    const run: Run = { subscription, received: 0, isReplaying: !isResumed };
    this.#run = run;
    this.#lastSeenAt = performance.now();
    const { num_pending: pending, delivered } = await session.manager.consumers.add(
      streamOf(bucket.bucket),
      this.#consumer(inbox, isResumed),
    );
    if (this.#run !== run) return; // a gap meanwhile
    this.#retryMs = WATCH_RETRY_MS;
    if (pending === 0 && delivered.consumer_seq === 0) this.#caughtUp(run);
  }

  #consumer(inbox: string, isResumed: boolean): ConsumerConfig {
    const { bucket } = this.#parts.bucket;
    const start = isResumed
      ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#revision + 1 }
      : { deliver_policy: DeliverPolicy.LastPerSubject };
    return {
      ...start,
      name: `watch_${createInbox("").replaceAll(/[^A-Za-z0-9]/g, "")}`,
      deliver_subject: inbox,
      filter_subject: subjectOf(bucket, ">"),
      ack_policy: AckPolicy.None,
      replay_policy: "instant",
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: nanos(WATCH_HEARTBEAT_MS),
      mem_storage: true,
      num_replicas: 1,
    };
  }

  /** Runs in the client library: must not throw. */
  #onMessage(run: Run, error: Error | null, message: Msg): void {
    if (error !== null) return this.#onGap(error);
    try {
      const status = message.headers?.code ?? 0;
      if (status !== 0) return this.#onStatus(run, status, message);
      const position = positionOf(message.reply);
      if (position === undefined || position.delivered !== run.received + 1)
        return this.#onGap(new Error("a message of NATS is missing"));
      this.#lastSeenAt = performance.now();
      run.received = position.delivered;
      this.#revision = position.revision;
      const key = message.subject.slice(this.#prefix.length);
      const value = isDeletion(message) ? undefined : message.string();
      this.#parts.handlers.onEntry({ key, value, revision: position.revision });
      if (position.pending === 0) this.#caughtUp(run);
    } catch (thrown) {
      this.#onGap(toError(thrown));
    }
  }

  /** A sign of life, flow control, or the consumer's end. */
  #onStatus(run: Run, status: number, message: Msg): void {
    if (status !== 100) return this.#onGap(new Error(`NATS has ended a watch: ${status}`));
    this.#lastSeenAt = performance.now();
    if (message.reply !== undefined && message.reply !== "") return void message.respond(); // flow control
    const stalled = message.headers?.get("Nats-Consumer-Stalled") ?? "";
    if (stalled !== "") return this.#parts.session()?.connection.publish(stalled);
    const delivered = Number(message.headers?.get("Nats-Last-Consumer") ?? 0);
    if (delivered > run.received) this.#onGap(new Error("the last message of NATS is missing"));
    else this.#caughtUp(run);
  }

  #caughtUp(run: Run): void {
    if (!run.isReplaying) return;
    run.isReplaying = false;
    this.#parts.handlers.onCaughtUp();
  }

  #onGap(error: Error): void {
    this.#parts.onProblem(error);
    this.restart();
  }

  #checkSilence(): void {
    if (this.#run === undefined || performance.now() - this.#lastSeenAt < WATCH_SILENCE_MS) return;
    this.#onGap(new Error("a watch of NATS is silent"));
  }

  #restartLater(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.restart(), this.#retryMs);
    this.#retry.unref();
    this.#retryMs = Math.min(2 * this.#retryMs, MAX_WATCH_RETRY_MS);
  }

  /** NATS removes a consumer that nobody listens to. A replay that was not completed has to be repeated. */
  #end(): void {
    if (this.#run === undefined) return;
    if (this.#run.isReplaying) this.#created = undefined;
    this.#run.subscription.unsubscribe();
    this.#run = undefined;
  }
}

function isDeletion({ headers }: Msg): boolean {
  const operation = headers?.get(OPERATION_HEADER) ?? "";
  return operation === "DEL" || operation === "PURGE" || headers?.has(EXPIRY_HEADER) === true;
}
