/** What a relay answers itself: fixed texts, and its own name in `Proxy-Status`, so that nobody blames the control plane. */
import { randomUUID } from "node:crypto";
import { STATUS_CODES } from "node:http";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { HEADER, RELAY_NAME } from "../../wire/protocol.ts";
import { formatProxyStatus } from "../../wire/fields/proxy-status.ts";
import { VERSION } from "../../wire/version.ts";

export interface OwnAnswer {
  status: number;
  fields: Record<string, string | number>;
  body: string;
}

export function ownAnswer(code: ErrorCode): OwnAnswer {
  const { status, text, retryAfterS } = ERROR_TABLE[code];
  const requestId = randomUUID();
  const body = JSON.stringify({ error: { code, message: text, requestId } });
  const fields = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "cache-control": "no-store",
    "proxy-status": formatProxyStatus(code, RELAY_NAME),
    "x-request-id": requestId,
    [HEADER.version]: VERSION,
    ...(retryAfterS !== undefined && { "retry-after": retryAfterS }),
    connection: "close",
  };
  return { status, fields, body };
}

/** The same for the raw socket of an upgrade that is refused. */
export function rawOwnAnswer(code: ErrorCode): Buffer {
  const { status, fields, body } = ownAnswer(code);
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n${lines.join("")}\r\n${body}`);
}
