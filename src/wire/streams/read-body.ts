/** Reads a whole body up to a limit. */
import type { Readable } from "node:stream";
import { TurnaboutError } from "../errors.ts";
import { GrowingBuffer } from "./growing-buffer.ts";

/**
 * The stream stays open if the body is too long, so that a refusal can be sent on it.
 *
 * @throws TurnaboutError `bad_request` beyond `maxBytes`
 */
export async function readBody(stream: Readable, maxBytes: number, what: string): Promise<Buffer> {
  const body = new GrowingBuffer();
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    if (body.length + chunk.length > maxBytes) {
      throw new TurnaboutError("bad_request", `${what}: more than ${maxBytes} bytes`);
    }
    body.append(chunk);
  }
  return body.take();
}
