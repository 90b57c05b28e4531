/** Reads a small body whole, with a bound. */
import type { Readable } from "node:stream";
import { TurnaboutError } from "../errors.ts";

/**
 * The stream outlives a body that is too long: a refusal may still be written to it.
 *
 * @throws TurnaboutError `bad_request` beyond `mostBytes`
 */
export async function readBody(stream: Readable, mostBytes: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) throw new TurnaboutError("bad_request", `${what}: more than ${mostBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}
