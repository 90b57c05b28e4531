/** The directory's storage on NATS JetStream. */
import { JetStreamApiError } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import type { MsgHdrs } from "@nats-io/transport-node";
import { ReportedProblems } from "../../wire/reported-problems.ts";
import { guardedLogger } from "../../wire/log.ts";
import type { Logger } from "../../wire/log.ts";
import { RevisionConflict } from "../directory/key-value.ts";
import type { KeyValue, WatchHandlers } from "../directory/key-value.ts";
import { NATS_REQUEST_MS } from "../limits.ts";
import { OPERATION_HEADER, streamOf, subjectOf, WRONG_REVISION } from "./bucket.ts";
import type { BucketOptions } from "./bucket.ts";
import { NatsClient } from "./nats-client.ts";
import type { NatsOptions } from "./nats-client.ts";
import { OrderedWatch } from "./ordered-watch.ts";

export interface NatsKeyValueOptions extends NatsOptions, BucketOptions {
  log: Logger;
}

export class NatsKeyValue implements KeyValue {
  readonly #bucket: BucketOptions;
  readonly #client: NatsClient;
  readonly #log: Logger;
  readonly #problems = new ReportedProblems();
  readonly #watches = new Set<OrderedWatch>();
  #problem: string | undefined;

  constructor(options: NatsKeyValueOptions) {
    this.#bucket = { bucket: options.bucket, replicas: options.replicas };
    this.#log = guardedLogger(options.log);
    this.#client = new NatsClient(options, {
      onConnected: ({ connection }) => {
        this.#problem = undefined;
        this.#problems.forget("");
        this.#log.info({ server: connection.getServer() }, "connected to NATS");
        for (const watch of this.#watches) watch.restart();
      },
      onProblem: (error) => this.#onProblem(error),
    });
  }

  get isConnected(): boolean {
    return this.#client.isConnected;
  }

  /** What went wrong since the last connection was made. */
  get problem(): string | undefined {
    return this.#problem;
  }

  create(key: string, value: string): Promise<number> {
    return this.#write(key, value, 0);
  }

  update(key: string, value: string, revision: number): Promise<number> {
    return this.#write(key, value, revision);
  }

  delete(key: string, revision: number): Promise<number> {
    return this.#write(key, undefined, revision);
  }

  async forget(key: string, revision: number): Promise<void> {
    const { bucket } = this.#bucket;
    const filter = subjectOf(bucket, key);
    await this.#session().manager.streams.purge(streamOf(bucket), { filter, seq: revision + 1 });
  }

  watch(handlers: WatchHandlers): { close(): void } {
    const watch = new OrderedWatch({
      bucket: this.#bucket,
      session: () => this.#client.session,
      handlers,
      onProblem: (error) => this.#onProblem(error),
    });
    this.#watches.add(watch);
    return {
      close: () => {
        watch.close();
        this.#watches.delete(watch);
      },
    };
  }

  async close(): Promise<void> {
    for (const watch of this.#watches) watch.close();
    await this.#client.close();
  }

  async #write(key: string, value: string | undefined, expected: number): Promise<number> {
    const { jetstream } = this.#session();
    try {
      const ack = await jetstream.publish(subjectOf(this.#bucket.bucket, key), value ?? "", {
        timeout: NATS_REQUEST_MS,
        expect: { lastSubjectSequence: expected, streamName: streamOf(this.#bucket.bucket) },
        ...(value === undefined && { headers: deletion() }),
      });
      return ack.seq;
    } catch (error) {
      throw conflictOf(key, error) ?? error;
    }
  }

  #session(): NonNullable<NatsClient["session"]> {
    const { session } = this.#client;
    if (session === undefined) throw new Error(this.#problem ?? "not connected to NATS yet");
    return session;
  }

  #onProblem(error: Error): void {
    this.#problem = error.message;
    if (this.#problems.isNew("", error.message)) this.#log.warn({ err: error }, "NATS");
  }
}

function deletion(): MsgHdrs {
  const fields = headers();
  fields.set(OPERATION_HEADER, "DEL");
  return fields;
}

/** Newer servers may leave the revision out: the outcome then counts as unknown, and the write is repeated. */
function conflictOf(key: string, error: unknown): RevisionConflict | undefined {
  if (!(error instanceof JetStreamApiError) || error.code !== WRONG_REVISION) return undefined;
  const [, revision] = /wrong last sequence: (\d+)/.exec(error.message) ?? [];
  return revision === undefined ? undefined : new RevisionConflict(key, Number(revision));
}
