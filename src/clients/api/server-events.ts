/** Server-sent events out of a body (HTML, "Server-sent events"). */
import { lines } from "../http/lines.ts";
import { MAX_EVENT_LINE_BYTES } from "./limits.ts";

export interface ServerEvent {
  /** The value of `event:`; `message` without one. */
  type: string;
  data: string;
}

export async function* serverEvents(
  body: AsyncIterable<Buffer>,
  label: string,
): AsyncGenerator<ServerEvent, void, undefined> {
  let type = "message";
  let data: string[] = [];
  for await (const line of lines(body, MAX_EVENT_LINE_BYTES, label)) {
    if (line === "") {
      if (data.length > 0) yield { type, data: data.join("\n") };
      type = "message";
      data = [];
    } else if (line.startsWith("event:")) type = line.slice(6).trim();
    else if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
}
