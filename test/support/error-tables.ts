/** What holds for the error table of every layer. */
import assert from "node:assert/strict";
import { STATUS_CODES } from "node:http";
import { describe, it } from "node:test";
import type { ErrorRow } from "../../src/wire/error-row.ts";
import type { CodedError, TurnaboutErrorOptions } from "../../src/wire/errors.ts";

/** RFC 9209 §2.3. */
const PROXY_ERRORS = new Set(
  `dns_timeout dns_error destination_not_found destination_unavailable destination_ip_prohibited
  destination_ip_unroutable connection_refused connection_terminated connection_timeout connection_read_timeout
  connection_write_timeout connection_limit_reached tls_protocol_error tls_certificate_error tls_alert_received
  http_request_error http_request_denied http_response_incomplete http_response_header_section_size
  http_response_header_size http_response_body_size http_response_trailer_section_size http_response_trailer_size
  http_response_transfer_coding http_response_content_coding http_response_timeout http_upgrade_failed
  http_protocol_error proxy_internal_response proxy_internal_error proxy_configuration_error proxy_loop_detected`.split(
    /\s+/,
  ),
);

/** @param create an error of the layer's class */
export function describeErrorTable<Code extends string>(
  table: Readonly<Record<Code, ErrorRow>>,
  create: (code: Code, options?: TurnaboutErrorOptions) => CodedError,
): void {
  const rows = Object.entries(table) as [Code, ErrorRow][];

  describe("the error table", () => {
    it("has for every code a status, an RFC 9209 error and a sentence that names nothing internal", () => {
      for (const [code, row] of rows) {
        assert.ok(row.status === 499 || row.status in STATUS_CODES, code);
        assert.ok(row.status >= 400 && row.status <= 599, code);
        assert.ok(PROXY_ERRORS.has(row.proxyError), `${code}: ${row.proxyError}`);
        assert.match(row.text, /^[A-Z][^/\\]*\.$/, code);
        assert.ok(["local", "remote", "user"].includes(row.initiator), code);
      }
    });

    it("says when to try again for every 503, and for nothing that will not pass", () => {
      for (const [code, { status, retryAfterS }] of rows) {
        if (status === 503) assert.ok(retryAfterS !== undefined && retryAfterS > 0, code);
        if ([400, 401, 403, 404, 431].includes(status)) assert.equal(retryAfterS, undefined, code);
      }
    });

    it("blames the caller for every 4xx, and only then", () => {
      for (const [code, { status, initiator }] of rows) {
        assert.equal(initiator === "user", status < 500, code);
      }
    });

    it("is where an error gets its properties from", () => {
      for (const [code, row] of rows) {
        const error = create(code);
        assert.equal(error.code, code);
        assert.deepEqual(
          [error.status, error.proxyError, error.initiator, error.text, error.retryAfterS],
          [row.status, row.proxyError, row.initiator, row.text, row.retryAfterS],
        );
        assert.equal(create(code, { retryAfterS: 7 }).retryAfterS, 7);
      }
    });
  });
}
