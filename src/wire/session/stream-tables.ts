/**
 * node keeps the streams of an HTTP/2 session in a Map, and those that have no id yet in a Set. Both live as long as the
 * session, so what they have held stays in memory until the next full collection (docs/traps.md), with all that a stream
 * refers to. Opening a stream costs twice as much because of it. The tables here keep nothing.
 */
import type { Http2Session, Http2Stream } from "node:http2";
import { types } from "node:util";

type Visit = (stream: Http2Stream) => void;

/** What node uses of `Map`. */
class StreamsById {
  readonly #streams: Record<number, Http2Stream | undefined> = Object.create(null) as Record<
    number,
    undefined
  >;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Http2Stream | undefined {
    return this.#streams[id];
  }

  set(id: number, stream: Http2Stream): this {
    if (this.#streams[id] === undefined) this.#size += 1;
    this.#streams[id] = stream;
    return this;
  }

  delete(id: number): boolean {
    if (this.#streams[id] === undefined) return false;
    this.#size -= 1;
    return Reflect.deleteProperty(this.#streams, id);
  }

  forEach(visit: Visit): void {
    for (const stream of Object.values(this.#streams)) if (stream !== undefined) visit(stream);
  }
}

/** What node uses of `Set`. They get their ids in the order in which they were opened. */
class PendingStreams {
  readonly #streams: Http2Stream[] = [];

  get size(): number {
    return this.#streams.length;
  }

  add(stream: Http2Stream): this {
    this.#streams.push(stream);
    return this;
  }

  delete(stream: Http2Stream): boolean {
    const at = this.#streams.indexOf(stream);
    if (at >= 0) this.#streams.splice(at, 1);
    return at >= 0;
  }

  forEach(visit: Visit): void {
    for (const stream of this.#streams.slice()) visit(stream); // they leave meanwhile
  }
}

/** node's property for the state of a session. */
let stateKey: symbol | undefined;

/**
 * Call it when the session is created.
 *
 * @returns whether it has them now; not where node's state is another than that of Node 24 to 26, which is left as it is
 */
export function replaceStreamTables(http2Session: Http2Session): boolean {
  stateKey ??= Object.getOwnPropertySymbols(http2Session).find(({ description }) => description === "state");
  const state: unknown = stateKey === undefined ? undefined : Reflect.get(http2Session, stateKey);
  if (typeof state !== "object" || state === null) return false;
  if (!("streams" in state) || !("pendingStreams" in state)) return false;
  const { streams, pendingStreams } = state;
  if (!types.isMap(streams) || !types.isSet(pendingStreams)) return false;
  const byId = new StreamsById();
  const pending = new PendingStreams();
  for (const [id, stream] of Map.prototype.entries.call(streams))
    byId.set(id as number, stream as Http2Stream);
  for (const stream of Set.prototype.values.call(pendingStreams)) pending.add(stream as Http2Stream);
  Object.assign(state, { streams: byId, pendingStreams: pending });
  return true;
}
