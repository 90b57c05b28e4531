/** What a response of the agent endpoint other than 101 (on HTTP/2, 200) means. */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { isErrorCode } from "../../wire/error-table.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { HEADER, RELAY_NAME } from "../../wire/protocol.ts";
import type { CarrierKind } from "../../wire/session/carrier.ts";
import { redactUrl } from "../transport/server-url.ts";
import { REFUSAL_EXCERPT_BYTES, REFUSAL_EXCERPT_TIMEOUT_MS } from "../limits.ts";

export interface Refusal {
  status: number;
  headers: IncomingHttpHeaders;
  body: Readable;
}

/**
 * A refusal by the control plane keeps its code. Any other response (a captive portal, a proxy, a wrong path) is
 * `carrier_failed` with the status and the first bytes of the body, so that a wrong URL is recognised at once.
 */
export async function upgradeRefused(
  { status, headers, body: response }: Refusal,
  carrier: CarrierKind,
): Promise<TurnaboutError> {
  const body = await excerpt(response);
  const fromControlPlane = headers[HEADER.version] !== undefined;
  const own = fromControlPlane ? ownError(body) : undefined;
  if (own !== undefined) {
    const who = String(headers["proxy-status"]).startsWith(RELAY_NAME) ? "relay" : "control plane";
    const retryAfterS = parseRetryAfter(headers["retry-after"]);
    return new TurnaboutError(
      own.code,
      `${carrier}: the ${who} refused (${status}): ${own.message}`,
      retryAfterS === undefined ? {} : { retryAfterS },
    );
  }
  // Not followed: an intermediary could redirect the token to any host.
  const to = headers.location;
  const redirect =
    to === undefined ? "" : ` (it redirects to ${redactUrl(to).slice(0, REFUSAL_EXCERPT_BYTES)})`;
  const seen = body.replaceAll(/\s+/g, " ").slice(0, REFUSAL_EXCERPT_BYTES);
  return new TurnaboutError(
    "carrier_failed",
    `${carrier}: responded with ${status} instead of ${carrier === "h2" ? 200 : 101}${redirect}${seen === "" ? "" : `: ${seen}`}`,
  );
}

/** Seconds (RFC 9110 §10.2.3). Undefined for a date, which none of ours sends, and for a number that is no delay. */
function parseRetryAfter(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,9}$/.test(value.trim()) ? Number(value) : undefined;
}

export function refusalOf(response: IncomingMessage): Refusal {
  return { status: response.statusCode ?? 0, headers: response.headers, body: response };
}

async function excerpt(response: Readable): Promise<string> {
  const timer = setTimeout(() => response.destroy(), REFUSAL_EXCERPT_TIMEOUT_MS);
  let text = "";
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      text += chunk.toString("utf8");
      if (text.length > 4_096) break;
    }
  } catch {
    // What has arrived is enough.
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
  return text;
}

function ownError(body: string): { code: ErrorCode; message: string } | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: { code?: unknown; message?: unknown } };
    if (typeof error?.code !== "string" || !isErrorCode(error.code)) return undefined;
    return { code: error.code, message: String(error.message) };
  } catch {
    return undefined;
  }
}
