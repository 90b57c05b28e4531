/**
 * What is open, and for which credential: revoking a token or closing a group of runners closes it at once, instead of
 * letting a WebSocket live on for days.
 */
import type { Identity } from "./identity.ts";

export interface ActiveStream {
  identity: Identity;
  /** The group of runners to which it belongs, if any: it is closed with the group. */
  group?: string | undefined;
  close(reason: CloseReason): void;
}

/** Why a stream is closed from our side; `text` is for the caller, where its protocol can carry one. */
export interface CloseReason {
  kind: "revoked" | "group-closed";
  text: string;
}

const REVOKED: CloseReason = { kind: "revoked", text: "the credential has been revoked" };

export class ActiveStreams {
  readonly #open = new Set<ActiveStream>();

  get size(): number {
    return this.#open.size;
  }

  /** @returns removes it again */
  add(stream: ActiveStream): () => void {
    this.#open.add(stream);
    return () => this.#open.delete(stream);
  }

  closeGroup(group: string, text: string): void {
    for (const stream of this.#open) {
      if (stream.group === group) stream.close({ kind: "group-closed", text });
    }
  }

  /** @param isGood whether this identity is still valid as it is */
  closeRevoked(isGood: (identity: Identity) => boolean): void {
    for (const stream of this.#open) if (!isGood(stream.identity)) stream.close(REVOKED);
  }
}
