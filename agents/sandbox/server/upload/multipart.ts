/** The file of a `multipart/form-data` body (RFC 7578), as a stream: it is never in memory as a whole. */
import { Busboy } from "@fastify/busboy";
import type { BusboyInstance } from "@fastify/busboy";
import { Failure, messageOf } from "../errors.ts";

/** Header fields of one part; browsers send about 200 bytes. */
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_PARTS = 32;

/**
 * Passes the first file in the field `file` to `store`, chunk by chunk as it is taken.
 *
 * @returns what `store` returned; undefined if the form has no such file
 * @throws Failure 400 for a body that is not such a form or is cut short; otherwise what `store` or `chunks` threw
 */
export async function storeFile<T>(
  chunks: AsyncIterable<Buffer>,
  contentType: string | undefined,
  store: (filename: string, content: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T | undefined> {
  const parser = createParser(contentType);
  const { promise: failure, reject: fail } = Promise.withResolvers<never>();
  failure.catch(() => {}); // it may come when nothing waits for it any more
  const finished = new Promise<void>((resolve) => void parser.once("finish", resolve));
  let stored: Promise<T> | undefined;
  let isComplete = false;
  let stop = (_error: unknown): void => {};

  parser.on("error", (error: unknown) => fail(broken(messageOf(error))));
  parser.once("partsLimit", () => fail(broken("too many parts")));
  parser.on("file", (name: string | undefined, content, filename: string | undefined) => {
    content.on("error", () => {});
    if (stored !== undefined || name !== "file" || filename === undefined) return void content.resume();
    content.once("end", () => (isComplete = true));
    stop = (error) => content.destroy(error as Error);
    stored = store(filename.replaceAll("%22", '"'), content); // browsers percent-encode the quote
    stored.catch(fail);
  });

  try {
    for await (const chunk of chunks) {
      if (isComplete) continue; // to the end, so that the next request follows on this connection
      const taken = new Promise<void>((resolve) => void parser.write(chunk, () => resolve()));
      await Promise.race([taken, failure]);
    }
    if (!isComplete) {
      parser.end();
      await Promise.race([finished, failure]);
    }
    return await stored;
  } catch (error) {
    stop(error);
    await stored?.catch(() => {});
    throw error;
  }
}

/** @throws Failure 400 for another content type, or without a boundary */
function createParser(contentType = ""): BusboyInstance {
  if (!/^multipart\/form-data\s*;/i.test(contentType))
    throw broken("not multipart/form-data with a boundary");
  try {
    return new Busboy({
      headers: { "content-type": contentType },
      limits: { parts: MAX_PARTS, headerSize: MAX_HEADER_BYTES },
      preservePath: true, // `store` cuts it: baseName
      isPartAFile: () => true, // other fields are skipped as streams, too: none is buffered
      fileHwm: 1, // the next chunk is read when this one has been stored
    });
  } catch (error) {
    throw broken(messageOf(error));
  }
}

function broken(reason: string): Failure {
  return new Failure(400, `Failed to parse form: ${reason}`);
}
