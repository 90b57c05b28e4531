/** Where a message stands in its stream and its consumer: NATS has it in the reply subject. */

export interface MessagePosition {
  /** Sequence in the stream. */
  revision: number;
  /** Sequence in the consumer, from 1. */
  delivered: number;
  /** Messages that the consumer has left. */
  pending: number;
}

/** Without a domain: `$JS.ACK.<stream>.<consumer>.<times>.<revision>.<delivered>.<time>.<pending>`. */
const TOKENS = 9;
/** With one, there are the domain and the account before the stream, and perhaps a token at the end. */
const TOKENS_WITH_DOMAIN = 11;

/** Undefined if it is not of that form. */
export function positionOf(reply: string | undefined): MessagePosition | undefined {
  const tokens = reply?.split(".") ?? [];
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK") return undefined;
  const offset = tokens.length >= TOKENS_WITH_DOMAIN ? 2 : 0;
  if (offset === 0 && tokens.length !== TOKENS) return undefined;
  const [revision, delivered, , pending] = tokens.slice(offset + 5).map(Number);
  if (!isCount(revision) || !isCount(delivered) || !isCount(pending)) return undefined;
  return { revision, delivered, pending };
}

function isCount(value: number | undefined): value is number {
  return Number.isSafeInteger(value);
}
