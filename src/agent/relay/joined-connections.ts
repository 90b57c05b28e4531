/** Pairs of connections that the relay has joined: one from an agent, and its own to the control plane. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { carrierBytes } from "../../wire/session/carrier.ts";
import { abort, splice } from "../../wire/streams/splice.ts";
import { RELAY_HALF_OPEN_MS, RELAY_QUIET_BYTES } from "../limits.ts";

interface Pair {
  /** From the agent. */
  downstream: Socket;
  /** To the control plane. */
  upstream: Duplex;
  /** Bytes that had passed when {@link JoinedConnections.closeQuiet} last looked. */
  bytes: number;
  /** It carries one dial, and not a tunnel connection: nobody would repeat it. */
  isDial: boolean;
}

/** The control plane's connection, and what the agent gets first: the header of the 101 response. */
export interface Upstream {
  stream: Duplex;
  head: Buffer;
}

export class JoinedConnections {
  readonly #pairs = new Set<Pair>();

  get size(): number {
    return this.#pairs.size;
  }

  /**
   * Copies bytes both ways; FIN stays FIN on both sides. `onClose` is called when both have closed.
   *
   * @param isDial it carries one dial
   */
  join(downstream: Socket, { stream: upstream, head }: Upstream, isDial: boolean, onClose: () => void): void {
    const pair: Pair = { downstream, upstream, bytes: 0, isDial };
    this.#pairs.add(pair);
    downstream.allowHalfOpen = true;
    upstream.allowHalfOpen = true;
    downstream.setTimeout(0);
    downstream.write(head);
    const stopLimit = limitHalfOpen(pair);
    splice(downstream, upstream, () => {
      stopLimit();
      this.#pairs.delete(pair);
      onClose();
    });
  }

  /** Resets the pair of this agent's connection, if there is one, and forgets it at once. */
  abortPairOf(socket: Socket, reason: Error): void {
    abort(socket, reason);
    for (const pair of this.#pairs) {
      if (pair.downstream !== socket) continue;
      this.#pairs.delete(pair);
      abort(pair.upstream, reason);
    }
  }

  /** From here on {@link closeQuiet} counts. */
  startCounting(): void {
    for (const pair of this.#pairs) pair.bytes = carrierBytes(pair.downstream);
  }

  /**
   * Closes the pairs that have carried less than {@link RELAY_QUIET_BYTES} since the last call. Not those of one dial, which may wait
   * for a slow response: they end by themselves.
   */
  closeQuiet(): void {
    for (const pair of this.#pairs) {
      const bytes = carrierBytes(pair.downstream);
      const isQuiet = bytes - pair.bytes < RELAY_QUIET_BYTES;
      pair.bytes = bytes;
      if (!isQuiet || pair.isDial) continue;
      pair.downstream.destroy();
      pair.upstream.destroy();
    }
  }

  /** Resets all pairs. */
  destroy(): void {
    for (const pair of this.#pairs) reset(pair);
  }
}

/** One side has ended and the other may never: behind a path that drops packets nothing else would notice. */
function limitHalfOpen(pair: Pair): () => void {
  let timer: NodeJS.Timeout | undefined;
  const onEnd = (): void => {
    timer ??= setTimeout(() => reset(pair), RELAY_HALF_OPEN_MS);
  };
  pair.downstream.once("end", onEnd);
  pair.upstream.once("end", onEnd);
  return () => clearTimeout(timer);
}

function reset({ downstream, upstream }: Pair): void {
  abort(downstream);
  abort(upstream);
}
