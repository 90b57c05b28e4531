/** Reads a whole body up to a limit. */
import type { Readable } from "node:stream";
import { TurnaboutError } from "../errors.ts";

/**
 * The stream stays open if the body is too long, so that a refusal can be sent on it.
 *
 * @throws TurnaboutError `bad_request` beyond `maxBytes`
 */
export async function readBody(stream: Readable, maxBytes: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new TurnaboutError("bad_request", `${what}: more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}
