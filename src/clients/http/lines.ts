/** Lines of a body that comes in chunks: server-sent events, JSON lines. */
import { TurnaboutError } from "../../wire/errors.ts";
import { LineSplitter } from "../../wire/streams/line-splitter.ts";

/**
 * Splits at `\n` and drops a `\r` before it. Bytes after the last `\n` are a line too, if there are any.
 *
 * @throws TurnaboutError `target_protocol` for a line of more than `maxBytes`
 */
export async function* lines(
  chunks: AsyncIterable<Buffer>,
  maxBytes: number,
  label: string,
): AsyncGenerator<string, void, undefined> {
  let found: string[] = [];
  let isTooLong = false;
  const splitter = new LineSplitter(maxBytes, {
    line: (text) => {
      if (!isTooLong) found.push(text);
    },
    tooLong: () => (isTooLong = true),
  });
  function* take(): Generator<string, void, undefined> {
    yield* found;
    found = [];
    if (isTooLong) {
      throw new TurnaboutError("target_protocol", `${label}: a line of more than ${maxBytes} bytes`);
    }
  }
  for await (const chunk of chunks) {
    splitter.push(chunk);
    yield* take();
  }
  splitter.end();
  yield* take();
}
