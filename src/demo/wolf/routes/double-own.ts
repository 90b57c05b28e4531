/**
 * The double's own endpoints, which Wolf does not have: unlimited load in either direction, for tests of throughput and
 * backpressure.
 *
 * - `GET /double/blob?bytes=N`: N bytes of a known pattern, ended by the close (HTTP/1.0, no length).
 * - `POST /double/sink`: reads `Content-Length` bytes without keeping them, responds `{"bytes":N,"sha256":"…"}`.
 */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { MAX_BLOB_BYTES } from "../limits.ts";
import { failure, json } from "../reply.ts";
import type { Reply } from "../reply.ts";
import type { Routes } from "../router.ts";

export const BLOB_PATH = "/double/blob";
export const SINK_PATH = "/double/sink";

/** One write: as much as a Unix socket takes at once. */
const BLOCK_BYTES: number = 64 * 1024;

/** Neither constant nor aligned to a power of two, so that lost, doubled or swapped bytes change the hash. */
const BLOCK: Buffer = Buffer.from(
  Uint8Array.from({ length: BLOCK_BYTES }, (_, i) => (i * 31 + (i >>> 8) * 7) % 251),
);

export const ownRoutes: Routes = {
  [`GET ${BLOB_PATH}`]: (request) => {
    const bytes = Number(new URLSearchParams(request.query).get("bytes") ?? "0");
    if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > MAX_BLOB_BYTES)
      return failure("Invalid bytes", 400);
    return {
      kind: "until-close",
      fields: ["Content-Type: application/octet-stream"],
      chunks: blobChunks(bytes),
    };
  },
};

/** The bytes that `/double/blob` sends, for comparison. */
export async function* blobChunks(bytes: number): AsyncGenerator<Buffer, void, undefined> {
  for (let sent = 0; sent < bytes; sent += BLOCK_BYTES) yield BLOCK.subarray(0, bytes - sent);
}

/** The hash that the receiver of `/double/blob?bytes=` must get. */
export function blobSha256(bytes: number): string {
  const hash: Hash = createHash("sha256");
  for (let sent = 0; sent < bytes; sent += BLOCK_BYTES) hash.update(BLOCK.subarray(0, bytes - sent));
  return hash.digest("hex");
}

export async function sink(body: AsyncIterable<Buffer>): Promise<Reply> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of body) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return json({ bytes, sha256: hash.digest("hex") });
}
