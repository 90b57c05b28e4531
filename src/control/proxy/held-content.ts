/** The content of a response that is replaced as a whole before the caller gets it: held until its end, up to a bound. */
import type { IncomingHttpHeaders } from "node:http";
import { isUtf8 } from "node:buffer";
import { TurnaboutError } from "../../wire/errors.ts";
import { GrowingBuffer } from "../../wire/streams/growing-buffer.ts";
import type { ContentRewrite } from "./job.ts";

/** What a target says of content that the caller does not get: its length, versions, digests and parts. */
const OF_FORMER_CONTENT: readonly string[] = [
  "accept-ranges",
  "content-digest",
  "content-encoding",
  "content-length",
  "content-md5",
  "content-range",
  "digest",
  "etag",
  "last-modified",
  "repr-digest",
  "trailer",
];

export class HeldContent {
  readonly #rewrite: ContentRewrite;
  readonly #bytes = new GrowingBuffer();

  /** @throws TurnaboutError `target_protocol` for content that has a coding: only plain content can be rewritten */
  constructor(rewrite: ContentRewrite, { "content-encoding": coding }: IncomingHttpHeaders) {
    this.#rewrite = rewrite;
    if (coding !== undefined && coding.trim().toLowerCase() !== "identity") {
      throw new TurnaboutError("target_protocol", "content that has to be rewritten has a content coding");
    }
  }

  /** @throws TurnaboutError `target_protocol` where it becomes too large */
  append(chunk: Buffer): void {
    const { maxBytes } = this.#rewrite;
    if (this.#bytes.length + chunk.length > maxBytes) {
      throw new TurnaboutError(
        "target_protocol",
        `content that has to be rewritten has more than ${maxBytes} bytes`,
      );
    }
    this.#bytes.append(chunk);
  }

  /** @param path of the route, as the caller knows it. @throws TurnaboutError where it cannot be rewritten */
  rewritten(path: string): Buffer {
    const bytes = this.#bytes.take();
    if (!isUtf8(bytes)) {
      throw new TurnaboutError("target_protocol", "content that has to be rewritten is not UTF-8");
    }
    return Buffer.from(this.#rewrite.rewrite(bytes.toString("utf8"), path));
  }
}

/** Removes what describes the target's own content. */
export function forgetFormerContent(fields: Record<string, string | string[]>): void {
  for (const name of OF_FORMER_CONTENT) delete fields[name];
}
