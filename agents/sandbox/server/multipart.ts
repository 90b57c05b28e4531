/** `multipart/form-data` (RFC 7578) as a stream: the file is never in memory as a whole. */
import { Failure } from "./errors.ts";

/** Fields of one part's head; browsers send about 200 bytes. */
const MAX_HEAD_BYTES = 8 * 1024;
const MAX_PARTS = 32;

export interface Part {
  /** Name of the form's field. */
  name: string;
  /** Undefined for a field that is no file. */
  filename: string | undefined;
  /** Must be read before the next part comes; what is left is skipped. */
  body: AsyncIterable<Buffer>;
}

/** @throws Failure 400 without a boundary */
export function boundaryOf(contentType: string | undefined): string {
  const match = /^multipart\/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(
    contentType ?? "",
  );
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw new Failure(400, "Failed to parse form: no multipart boundary");
  return boundary;
}

/** @throws Failure 400 for what is no such body, or one that breaks off */
export async function* parts(
  chunks: AsyncIterable<Buffer>,
  boundary: string,
): AsyncGenerator<Part, void, undefined> {
  const input = new Input(chunks);
  // The first boundary has no line before it; with one put there it is like all others.
  input.prepend(Buffer.from("\r\n"));
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  for await (const _ of input.until(delimiter)); // a preamble is ignored (RFC 2046 §5.1.1)
  for (let count = 0; count < MAX_PARTS; count += 1) {
    const line = await input.line(MAX_HEAD_BYTES);
    if (line.trim() === "--") return;
    if (line.trim() !== "") throw broken("text behind a boundary");
    const head = await readHead(input);
    const body = input.until(delimiter);
    yield { ...parseDisposition(head), body };
    for await (const _ of body);
  }
  throw broken("too many parts");
}

async function readHead(input: Input): Promise<Map<string, string>> {
  const fields = new Map<string, string>();
  let left = MAX_HEAD_BYTES;
  for (;;) {
    const line = await input.line(left);
    if (line === "") return fields;
    left -= line.length;
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
}

function parseDisposition(head: ReadonlyMap<string, string>): { name: string; filename: string | undefined } {
  const field = head.get("content-disposition") ?? "";
  if (!/^form-data\s*(?:;|$)/i.test(field)) throw broken("a part without a name");
  const parameter = (name: string): string | undefined => {
    const match = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s"]+))`, "i").exec(field);
    // Browsers percent-encode the quote, older programs escape it.
    return (match?.[1]?.replaceAll('\\"', '"') ?? match?.[2])?.replaceAll(/%22/g, '"');
  };
  return { name: parameter("name") ?? "", filename: parameter("filename") };
}

function broken(why: string): Failure {
  return new Failure(400, `Failed to parse form: ${why}`);
}

/** What has come and has not been taken. */
class Input {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  prepend(bytes: Buffer): void {
    this.#rest = Buffer.concat([bytes, this.#rest]);
  }

  /** Up to CR LF, which is taken too. */
  async line(maxBytes: number): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf("\r\n");
      if (end > maxBytes || (end === -1 && this.#rest.length > maxBytes)) throw broken("a line too long");
      if (end !== -1) {
        const line = this.#rest.toString("utf8", 0, end);
        this.#rest = this.#rest.subarray(end + 2);
        return line;
      }
      await this.#more();
    }
  }

  /** Up to the delimiter, which is taken too. */
  async *until(delimiter: Buffer): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const at = this.#rest.indexOf(delimiter);
      // The delimiter may have begun in the last bytes.
      const end = at === -1 ? this.#rest.length - delimiter.length + 1 : at;
      if (end > 0) {
        const piece = this.#rest.subarray(0, end);
        this.#rest = this.#rest.subarray(end);
        yield piece;
      }
      if (at !== -1) {
        this.#rest = this.#rest.subarray(delimiter.length);
        return;
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    const { done, value } = await this.#chunks.next();
    if (done === true) throw broken("it breaks off");
    this.#rest = this.#rest.length === 0 ? value : Buffer.concat([this.#rest, value]);
  }
}
