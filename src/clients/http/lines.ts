/** Lines of a body that comes in pieces: server-sent events, JSON lines. */
import { TurnaboutError } from "../../wire/errors.ts";

/**
 * Splits at `\n`, drops a `\r` before it. What follows the last `\n` is a line too, if it is not empty.
 *
 * @throws TurnaboutError `target_protocol` for a line of more than `mostBytes`
 */
export async function* lines(
  chunks: AsyncIterable<Buffer>,
  mostBytes: number,
  label: string,
): AsyncGenerator<string, void, undefined> {
  const check = (bytes: number): void => {
    if (bytes > mostBytes)
      throw new TurnaboutError("target_protocol", `${label}: a line of more than ${mostBytes} bytes`);
  };
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      check(restBytes + end - start);
      yield text([...rest, chunk.subarray(start, end)]);
      rest = [];
      restBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
    restBytes += chunk.length - start;
    check(restBytes);
  }
  if (restBytes > 0) yield text(rest);
}

const LF = 0x0a;

function text(pieces: readonly Buffer[]): string {
  const line = Buffer.concat(pieces).toString("utf8");
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
