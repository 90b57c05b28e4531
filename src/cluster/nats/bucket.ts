/** The bucket of a cluster in NATS: a stream with one message for each key, as NATS's key-value stores have it. */
import { DiscardPolicy, JetStreamApiError, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { StreamInfo } from "@nats-io/jetstream";
import { NATS_REPLICAS } from "../limits.ts";
import type { NatsSession } from "./nats-client.ts";

export interface BucketOptions {
  /** Letters, digits, `_` and `-`. */
  bucket: string;
  /** Copies that the bucket is made with. Default: three in a cluster of NATS servers, otherwise one. */
  replicas?: number | undefined;
}

const STREAM_NOT_FOUND = 10_059;
export const WRONG_REVISION = 10_071;
/** With its value, how an entry of a key-value store is told from its deletion. */
export const OPERATION_HEADER = "KV-Operation";
export const EXPIRY_HEADER = "Nats-Marker-Reason";

export function streamOf(bucket: string): string {
  return `KV_${bucket}`;
}

export function subjectOf(bucket: string, key: string): string {
  return `$KV.${bucket}.${key}`;
}

/**
 * Makes the bucket where it is missing.
 *
 * @throws Error if it has a time limit: entries would vanish without a word
 */
export async function openBucket(session: NatsSession, options: BucketOptions): Promise<StreamInfo> {
  const { bucket } = options;
  const info = await session.manager.streams.info(streamOf(bucket)).catch((error: unknown) => {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND)
      return createBucket(session, options);
    throw error;
  });
  if (info.config.max_age > 0)
    throw new Error(`bucket ${bucket} of NATS has a time limit (ttl): it must have none`);
  return info;
}

async function createBucket(
  { connection, manager }: NatsSession,
  options: BucketOptions,
): Promise<StreamInfo> {
  const isCluster = connection.info?.cluster !== undefined;
  return manager.streams.add({
    name: streamOf(options.bucket),
    subjects: [subjectOf(options.bucket, ">")],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    num_replicas: options.replicas ?? (isCluster ? NATS_REPLICAS : 1),
    allow_rollup_hdrs: true,
    allow_direct: false,
    deny_delete: false,
  });
}
