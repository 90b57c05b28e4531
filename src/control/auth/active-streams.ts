/**
 * What is open on behalf of whom: revoking a token, deleting a session or its owner closes it at once, instead of
 * letting a WebSocket live on for days.
 */
import type { Identity } from "./identity.ts";

export interface Work {
  identity: Identity;
  /** The session whose sandbox or stream this is, if it is one's. */
  session?: string | undefined;
  close(reason: CloseReason): void;
}

export type CloseReason = "revoked" | "session-ended";

export class ActiveStreams {
  readonly #open = new Set<Work>();

  get size(): number {
    return this.#open.size;
  }

  /** @returns removes it again */
  add(work: Work): () => void {
    this.#open.add(work);
    return () => this.#open.delete(work);
  }

  closeSession(session: string): void {
    for (const work of this.#open) if (work.session === session) work.close("session-ended");
  }

  /** @param isGood whether this identity still stands as it is */
  closeRevoked(isGood: (identity: Identity) => boolean): void {
    for (const work of this.#open) if (!isGood(work.identity)) work.close("revoked");
  }
}
