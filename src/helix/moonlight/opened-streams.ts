/**
 * Which session has opened which stream at Moonlight Web, by the id that its page or client has chosen. One secret opens every
 * stream there, and `join` takes a stream from its viewer: so a session may join only what is its own.
 */
import { MAX_REMEMBERED_STREAMS, MAX_STREAM_ID_LENGTH, OPENED_STREAMS_PER_SESSION } from "../limits.ts";
import type { Session } from "../store/sessions.ts";

/** As one session sees it. */
export interface SessionStreams {
  session: string;
  /** It has opened a stream of this id before any other session on its instance. */
  has(id: string): boolean;
  add(id: string): void;
}

export class OpenedStreams {
  /** By session, the ids that are its own, each with the instance; oldest first. */
  readonly #bySession = new Map<string, Set<string>>();
  /** The session of each of these. */
  readonly #owners = new Map<string, string>();

  of({ id: session, instanceId }: Pick<Session, "id" | "instanceId">): SessionStreams {
    const keyOf = (id: string): string => `${instanceId} ${id}`;
    return {
      session,
      has: (id) => this.#owners.get(keyOf(id)) === session,
      add: (id) => {
        if (id.length <= MAX_STREAM_ID_LENGTH) this.#add(session, keyOf(id));
      },
    };
  }

  /** The first session keeps an id: for another one Moonlight Web opens no stream of this id while it is there. */
  #add(session: string, key: string): void {
    const owner = this.#owners.get(key);
    if (owner !== undefined && owner !== session) return;
    const keys = this.#bySession.get(session) ?? new Set<string>();
    keys.delete(key);
    keys.add(key);
    this.#bySession.delete(session);
    this.#bySession.set(session, keys);
    this.#owners.set(key, session);
    const [oldest] = keys;
    if (keys.size > OPENED_STREAMS_PER_SESSION && oldest !== undefined) {
      keys.delete(oldest);
      this.#owners.delete(oldest);
    }
    const [first] = this.#bySession;
    if (this.#bySession.size <= MAX_REMEMBERED_STREAMS || first === undefined) return;
    this.#bySession.delete(first[0]);
    for (const gone of first[1]) this.#owners.delete(gone);
  }
}
