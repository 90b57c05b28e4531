/** Request bodies: whole up to a limit, or chunk by chunk. A body that stalls is an error. */
import type { IncomingMessage } from "node:http";
import { Failure } from "../errors.ts";
import { BODY_IDLE_MS, MAX_REFUSED_BODY_BYTES, REFUSED_BODY_MS } from "../limits.ts";

/** @throws Failure 413 as soon as it is known to be too large; otherwise like {@link chunksOf} */
export async function readBody(
  incoming: IncomingMessage,
  maxBytes: number,
  tooLarge: string,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of chunksOf(incoming, maxBytes, tooLarge)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * The body as it arrives. The connection stays open after an error, because the response is sent on it.
 *
 * @throws Failure 413 above `maxBytes`, 408 if nothing arrives for {@link BODY_IDLE_MS}, 400 if it is incomplete
 */
export async function* chunksOf(
  incoming: IncomingMessage,
  maxBytes: number,
  tooLarge: string,
): AsyncGenerator<Buffer, void, undefined> {
  if (Number(incoming.headers["content-length"] ?? 0) > maxBytes) throw new Failure(413, tooLarge);
  const chunks = incoming.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await nextOf(chunks);
      if (done === true) return;
      size += value.length;
      if (size > maxBytes) throw new Failure(413, tooLarge);
      yield value;
    }
  } finally {
    void chunks.return?.(); // releases the body: the response's sender reads the rest
  }
}

/**
 * The response to a request whose body may still be arriving. It is sent at once, but ends only when the body has ended, or
 * after {@link REFUSED_BODY_MS}.
 */
export function respondDuringBody(incoming: IncomingMessage, response: Response, body: string): Response {
  if (incoming.complete || incoming.destroyed) return response;
  const bytes = Buffer.from(body);
  response.headers.set("content-length", String(bytes.length));
  const stream = new ReadableStream<Uint8Array>({
    start: async (controller) => {
      controller.enqueue(bytes);
      await discard(incoming);
      controller.close();
    },
  });
  return new Response(stream, { status: response.status, headers: response.headers });
}

async function discard(incoming: IncomingMessage): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = () => resolve();
  const timer = setTimeout(done, REFUSED_BODY_MS);
  let size = 0;
  const onData = (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_REFUSED_BODY_BYTES) done();
  };
  incoming.on("data", onData);
  for (const event of ["end", "error", "close"]) incoming.once(event, done);
  incoming.resume();
  await promise;
  clearTimeout(timer);
  incoming.off("data", onData);
}

async function nextOf(chunks: AsyncIterator<Buffer>): Promise<IteratorResult<Buffer>> {
  const { promise: stalled, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Failure(408, "Request body stalled")), BODY_IDLE_MS);
  const next = chunks.next().catch((error: unknown) => {
    throw new Failure(400, "Failed to read request body", { cause: error });
  });
  next.catch(() => {}); // after a stall nothing awaits it
  try {
    return await Promise.race([next, stalled]);
  } finally {
    clearTimeout(timer);
  }
}

/** @throws SyntaxError */
export function parseJson(body: Buffer): unknown {
  return JSON.parse(body.toString("utf8")) as unknown;
}
