/** Server-sent events out of a response (HTML, "Server-sent events"), with an end of the wait for a silent one. */
import { EVENT_SILENCE_MS, MAX_EVENT_LINE_CHARS } from "../limits.ts";
import { ApiError } from "./api-error.ts";

export interface PageEvent {
  type: string;
  data: unknown;
}

/** @throws ApiError for silence, or a line that is too long */
export async function eventsOf(
  body: ReadableStream<Uint8Array>,
  onEvent: (event: PageEvent) => void,
): Promise<void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const events = new EventParser(onEvent);
  try {
    for (;;) {
      const { done, value } = await heard(reader.read());
      if (done) return;
      events.add(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function heard<T>(reading: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new ApiError("The control plane has gone silent.", { status: 0, code: "silent" }));
  }, EVENT_SILENCE_MS);
  try {
    return await Promise.race([reading, promise]);
  } finally {
    clearTimeout(timer);
  }
}

export class EventParser {
  readonly #onEvent: (event: PageEvent) => void;
  #rest = "";
  #type = "message";
  #data: string[] = [];

  constructor(onEvent: (event: PageEvent) => void) {
    this.#onEvent = onEvent;
  }

  add(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > MAX_EVENT_LINE_CHARS)
      throw new ApiError("An event is too long.", { status: 0, code: "event_too_long" });
    for (const line of lines) this.#line(line.endsWith("\r") ? line.slice(0, -1) : line);
  }

  #line(line: string): void {
    if (line.startsWith("event:")) this.#type = line.slice(6).trim();
    else if (line.startsWith("data:")) this.#data.push(line.slice(5).trimStart());
    if (line !== "") return;
    const data = this.#data.join("\n");
    const type = this.#type;
    this.#type = "message";
    this.#data = [];
    if (data === "") return;
    try {
      this.#onEvent({ type, data: JSON.parse(data) as unknown });
    } catch (error) {
      // Events of a newer control plane may have another form: the page shows those that it knows.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
}
