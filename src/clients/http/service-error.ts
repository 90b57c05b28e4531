/** A service's own "no". What kept the call from reaching it, or its answer from coming back, is a TurnaboutError. */
export class ServiceError extends Error {
  override readonly name: string = "ServiceError";
  /** HTTP status of the answer. */
  readonly status: number;
  /** In the service's words; empty where it said nothing. */
  readonly reason: string;

  constructor(label: string, status: number, reason: string) {
    super(`${label}: answered ${status}${reason === "" ? "" : `: ${reason}`}`);
    this.status = status;
    this.reason = reason;
  }
}

/** What one error message may hold of an answer. */
const MAX_REASON_CHARS = 500;

/** What is read of a refusal that may go on. */
const MAX_REFUSAL_BYTES: number = 16 * 1024;

export function reasonFrom(body: Buffer): string {
  return body
    .toString("utf8", 0, MAX_REASON_CHARS * 4)
    .trim()
    .slice(0, MAX_REASON_CHARS);
}

/** Enough of a body for a reason. */
export async function beginning(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_REFUSAL_BYTES) break;
  }
  return Buffer.concat(chunks);
}
