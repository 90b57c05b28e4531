/**
 * Streams at Moonlight Web that offers over HTTP have made, and that may be open: a later process ends those of one that was
 * killed. No secret is stored.
 */
import { z } from "zod";
import { json, readRows, text } from "../../control/extension.ts";
import type { ExtensionStore, Row, Statement } from "../../control/extension.ts";
import { MAX_STORED_OFFERS } from "../limits.ts";

export interface StoredStream {
  session: string;
  /** Moonlight Web's own. */
  id: string;
  runner: string;
  /** Path at which it is deleted, and the fields of that request besides the credentials. */
  path: string;
  fields: Readonly<Record<string, string>>;
}

const fieldsSchema: z.ZodType<Record<string, string>> = z.record(z.string(), z.string());

/** Read once and kept in memory. */
export class OfferedStreamStore {
  readonly #store: ExtensionStore;
  readonly #put: Statement;
  readonly #delete: Statement;
  /** Oldest first. */
  readonly #streams = new Map<string, StoredStream>();
  #isHandedOver = false;

  /** @throws TurnaboutError `config_invalid` for a row that is not valid */
  constructor(store: ExtensionStore) {
    this.#store = store;
    this.#put = store.prepare(
      "INSERT OR REPLACE INTO offered_streams (session, id, runner, path, fields) VALUES (?, ?, ?, ?, ?)",
    );
    this.#delete = store.prepare("DELETE FROM offered_streams WHERE session = ? AND id = ?");
    const all = store.prepare("SELECT * FROM offered_streams ORDER BY rowid");
    for (const stream of readRows("offered_streams", all.all(), fromRow)) {
      this.#streams.set(keyOf(stream.session, stream.id), stream);
    }
    store.onRecreate(() => {
      for (const stream of this.#streams.values()) this.#write(stream);
    });
  }

  /** Saved as soon as possible: the stream is there, whatever the disk does. */
  add(stream: StoredStream): void {
    this.#streams.set(keyOf(stream.session, stream.id), stream);
    this.#save(stream);
    const [oldest] = this.#streams.values();
    if (this.#streams.size > MAX_STORED_OFFERS && oldest !== undefined) this.remove(oldest);
  }

  /** It has ended. */
  remove(stream: Pick<StoredStream, "session" | "id">): void {
    if (this.#streams.delete(keyOf(stream.session, stream.id))) this.#save(stream);
  }

  at(runner: string): StoredStream[] {
    return [...this.#streams.values()].filter((stream) => stream.runner === runner);
  }

  /** The rows are another process's from now on, or the store is about to close. */
  handOver(): void {
    this.#isHandedOver = true;
  }

  #save({ session, id }: Pick<StoredStream, "session" | "id">): void {
    if (this.#isHandedOver) return;
    const key = keyOf(session, id);
    this.#store.save(`offered stream ${key}`, () => {
      const stream = this.#streams.get(key);
      if (stream === undefined) this.#delete.run(session, id);
      else this.#write(stream);
    });
  }

  #write({ session, id, runner, path, fields }: StoredStream): void {
    this.#put.run(session, id, runner, path, JSON.stringify(fields));
  }
}

function keyOf(session: string, id: string): string {
  return `${session} ${id}`;
}

function fromRow(row: Row): StoredStream {
  return {
    session: text(row, "session"),
    id: text(row, "id"),
    runner: text(row, "runner"),
    path: text(row, "path"),
    fields: json(row, "fields", fieldsSchema),
  };
}
