/** An error response: a status and a line of text, like Helix's server. */

export type FailureStatus = 400 | 403 | 404 | 405 | 408 | 413 | 500 | 503;

export class Failure extends Error {
  override readonly name = "Failure";
  readonly status: FailureStatus;

  constructor(status: FailureStatus, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Plain text with a line end, like the body of every refusal. */
export function failureText(failure: Failure): string {
  return `${failure.message}\n`;
}

export function failureResponse(failure: Failure, headers: Record<string, string> = {}): Response {
  return new Response(failureText(failure), {
    status: failure.status,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}

export function methodNotAllowed(allow: string): Response {
  return failureResponse(new Failure(405, "Method not allowed"), { allow });
}

/** `code` of a system error, if it has one. */
export function errorCodeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
