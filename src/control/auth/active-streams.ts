/**
 * What is open, and for which credential: revoking a token or closing a group of runners closes it at once, instead of
 * letting a WebSocket live on for days. So does the deadline of a shutdown.
 */
import { credentialHolder } from "../shares/holders.ts";
import type { Shares } from "../shares/shares.ts";
import { OpenList } from "../in-flight/open-list.ts";
import type { Listed } from "../in-flight/open-list.ts";
import type { Identity } from "./identity.ts";

export interface ActiveStream {
  identity: Identity;
  /** The group of runners to which it belongs, if any: it is closed with the group. */
  group?: string | undefined;
  /** It carries requests of several callers, who are counted where they are served. */
  isShared?: boolean | undefined;
  /** It does not end by itself: a WebSocket, a tunnel, server-sent events. */
  isEndless: () => boolean;
  close(reason: CloseReason): void;
}

/** Why a stream is closed from our side; `text` is for the caller, where its protocol can carry one. */
export interface CloseReason {
  kind: "revoked" | "group-closed" | "restarting" | "stalled";
  text: string;
}

const REVOKED = "the credential has been revoked";

interface Open extends Listed {
  readonly stream: ActiveStream;
  /** When it began, on the clock of `performance.now()`. */
  readonly sinceMs: number;
}

export class ActiveStreams {
  readonly #shares: Shares | undefined;
  readonly #open = new OpenList<Open>();

  /** @param shares how many of them one credential may have. Default: any number */
  constructor(shares?: Shares) {
    this.#shares = shares;
  }

  get size(): number {
    return this.#open.size;
  }

  /** @returns removes it again. @throws TurnaboutError `share_exceeded`, `overloaded` */
  add(stream: ActiveStream): () => void {
    const release =
      stream.isShared === true ? undefined : this.#shares?.take(credentialHolder(stream.identity));
    const open: Open = { stream, sinceMs: performance.now(), listIndex: -1 };
    this.#open.add(open);
    return () => {
      this.#open.remove(open);
      release?.();
    };
  }

  closeGroup(group: string, text: string): void {
    for (const { stream } of this.#open.all()) {
      if (stream.group === group) stream.close({ kind: "group-closed", text });
    }
  }

  /**
   * @param isGood whether this identity is still valid as it is
   * @param text why it is not, for the caller
   */
  closeRevoked(isGood: (identity: Identity) => boolean, text: string = REVOKED): void {
    for (const { stream } of this.#open.all()) {
      if (!isGood(stream.identity)) stream.close({ kind: "revoked", text });
    }
  }

  countOf(isMeant: (identity: Identity) => boolean): number {
    let count = 0;
    for (const { stream } of this.#open.all()) if (isMeant(stream.identity)) count += 1;
    return count;
  }

  /** @param beforeMs only what began before this moment of `performance.now()` */
  closeAll(reason: CloseReason, beforeMs: number = Infinity): void {
    for (const { stream, sinceMs } of this.#open.all()) if (sinceMs < beforeMs) stream.close(reason);
  }

  closeEndless(reason: CloseReason): void {
    for (const { stream } of this.#open.all()) if (stream.isEndless()) stream.close(reason);
  }
}
