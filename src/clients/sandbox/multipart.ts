/** One file as `multipart/form-data` (RFC 7578), streamed. */
import { randomBytes } from "node:crypto";

export interface Multipart {
  contentType: string;
  /** Length of the whole body; undefined if the file's size is unknown. */
  length: number | undefined;
  body: AsyncIterable<Uint8Array>;
}

export function multipartFile(
  field: string,
  filename: string,
  file: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  size: number | undefined,
): Multipart {
  const boundary = `turnabout-${randomBytes(18).toString("hex")}`;
  const head = Buffer.from(
    `--${boundary}\r\ncontent-disposition: form-data; name="${field}"; filename="${escaped(filename)}"\r\n` +
      "content-type: application/octet-stream\r\n\r\n",
  );
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    yield head;
    yield* file;
    yield tail;
  }
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    length: size === undefined ? undefined : head.length + size + tail.length,
    body: body(),
  };
}

/** Escapes a name as browsers do (HTML, "multipart/form-data encoding algorithm"). */
function escaped(filename: string): string {
  return filename.replaceAll("\r", "%0D").replaceAll("\n", "%0A").replaceAll('"', "%22");
}
