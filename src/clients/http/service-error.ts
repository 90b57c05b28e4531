/** An error response of a service. If the request did not get through, or the response was lost, it is a TurnaboutError. */
export class ServiceError extends Error {
  override readonly name: string = "ServiceError";
  /** HTTP status of the response. */
  readonly status: number;
  /** The service's own text; may be empty. */
  readonly reason: string;

  constructor(label: string, status: number, reason: string) {
    super(`${label}: responded with ${status}${reason === "" ? "" : `: ${reason}`}`);
    this.status = status;
    this.reason = reason;
  }
}

/** Part of a response that an error message may contain. */
const MAX_REASON_CHARS = 500;

/** Part of an error response that is read. */
const MAX_REFUSAL_BYTES: number = 16 * 1024;

export function reasonFrom(body: Buffer): string {
  return body
    .toString("utf8", 0, MAX_REASON_CHARS * 4)
    .trim()
    .slice(0, MAX_REASON_CHARS);
}

/** The start of a body, enough for a reason. */
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
