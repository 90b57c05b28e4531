/** Why a call has failed, as the control plane puts it, or as far as the page knows. */
export interface ApiErrorFields {
  /** 0 where there was no response. */
  status: number;
  code: string;
  requestId?: string | undefined;
  details?: readonly string[] | undefined;
  retryAfterS?: number | undefined;
}

export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string | undefined;
  readonly details: readonly string[];
  readonly retryAfterS: number | undefined;

  constructor(message: string, { status, code, requestId, details = [], retryAfterS }: ApiErrorFields) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.requestId = requestId;
    this.details = details;
    this.retryAfterS = retryAfterS;
  }
}

interface ErrorBody {
  error?: { code?: unknown; message?: unknown; requestId?: unknown; details?: unknown };
}

/** Of a reverse proxy in front the body may be anything. */
export async function errorOf(response: Response): Promise<ApiError> {
  const { status, headers } = response;
  const retryAfter = Number(headers.get("retry-after") ?? Number.NaN);
  const retryAfterS = Number.isFinite(retryAfter) ? retryAfter : undefined;
  try {
    const { error = {} } = JSON.parse(await response.text()) as ErrorBody;
    if (typeof error.code === "string" && typeof error.message === "string") {
      const details = Array.isArray(error.details) ? error.details.map(String) : [];
      const requestId = typeof error.requestId === "string" ? error.requestId : undefined;
      return new ApiError(error.message, { status, code: error.code, requestId, details, retryAfterS });
    }
  } catch {
    // the status alone says enough
  }
  return new ApiError(`The response is ${status}, and not the control plane's.`, {
    status,
    code: `http_${status}`,
    retryAfterS,
  });
}

export function unreachable(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  const isTimeout = cause instanceof DOMException && cause.name === "TimeoutError";
  const message = isTimeout
    ? "The control plane did not respond in time."
    : "The control plane cannot be reached.";
  return new ApiError(message, { status: 0, code: isTimeout ? "timeout" : "unreachable" });
}
