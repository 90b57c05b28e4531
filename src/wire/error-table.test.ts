import assert from "node:assert/strict";
import { STATUS_CODES } from "node:http";
import { constants } from "node:http2";
import { constants as osConstants } from "node:os";
import { describe, it } from "node:test";
import { codeFromErrno, codeFromRst, codeFromStatus, ERROR_TABLE, isErrorCode } from "./error-table.ts";
import type { ErrorCode } from "./error-table.ts";
import { TurnaboutError } from "./errors.ts";

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

const ROWS = Object.entries(ERROR_TABLE) as [ErrorCode, (typeof ERROR_TABLE)[ErrorCode]][];

describe("the error table", () => {
  it("has for every code a status, an RFC 9209 error and a sentence that names nothing internal", () => {
    for (const [code, row] of ROWS) {
      assert.ok(row.status === 499 || row.status in STATUS_CODES, code);
      assert.ok(row.status >= 400 && row.status <= 599, code);
      assert.ok(PROXY_ERRORS.has(row.proxyError), `${code}: ${row.proxyError}`);
      assert.match(row.text, /^[A-Z][^/\\]*\.$/, code);
      assert.ok(["local", "remote", "user"].includes(row.initiator), code);
      assert.ok(isErrorCode(code));
    }
  });

  it("says when to try again for every 503, and for nothing that will not pass", () => {
    for (const [code, { status, retryAfterS }] of ROWS) {
      if (status === 503) assert.ok(retryAfterS !== undefined && retryAfterS > 0, code);
      if ([400, 401, 403, 404, 431].includes(status)) assert.equal(retryAfterS, undefined, code);
    }
  });

  it("blames the caller for 4xx and nobody else", () => {
    for (const [code, { status, initiator }] of ROWS) assert.equal(initiator === "user", status < 500, code);
  });

  it("is what an error says of itself", () => {
    for (const [code, row] of ROWS) {
      const error = new TurnaboutError(code, "test");
      assert.deepEqual(
        [error.status, error.initiator, error.retryAfterS],
        [row.status, row.initiator, row.retryAfterS],
      );
    }
    assert.equal(new TurnaboutError("overloaded", "test", { retryAfterS: 7 }).retryAfterS, 7);
  });

  it("knows no code that is not in it", () => {
    for (const text of ["", "nope", "toString", "__proto__"]) assert.equal(isErrorCode(text), false);
  });
});

describe("what failed below", () => {
  it("has a code for every errno of a target connection", () => {
    const expected: Record<string, ErrorCode> = {
      ECONNREFUSED: "target_refused",
      ENOENT: "target_refused",
      EACCES: "target_refused",
      ETIMEDOUT: "target_timeout",
      ENOTFOUND: "target_unresolved",
      EAI_AGAIN: "target_unresolved",
      EHOSTUNREACH: "target_unreachable",
      ENETUNREACH: "target_unreachable",
      ECONNRESET: "target_closed",
      EPIPE: "target_closed",
      EAGAIN: "overloaded",
      EMFILE: "overloaded",
    };
    for (const [errno, code] of Object.entries(expected)) assert.equal(codeFromErrno(errno), code);
    for (const errno of [...Object.keys(osConstants.errno), undefined]) {
      assert.ok(isErrorCode(codeFromErrno(errno)), String(errno));
    }
  });

  it("has a code for every status and every HTTP/2 error code", () => {
    for (let status = 0; status < 1_000; status += 1) {
      const code = codeFromStatus(status);
      assert.ok(isErrorCode(code));
      const known = ROWS.some(([, row]) => row.status === status);
      if (known && code !== "tunnel_protocol") assert.equal(ERROR_TABLE[code].status, status);
    }
    for (let rst = 0; rst < 20; rst += 1) assert.ok(isErrorCode(codeFromRst(rst)));
    assert.equal(codeFromRst(constants.NGHTTP2_REFUSED_STREAM), "overloaded");
    assert.equal(codeFromRst(constants.NGHTTP2_INTERNAL_ERROR), "target_closed");
    assert.equal(codeFromRst(constants.NGHTTP2_PROTOCOL_ERROR), "tunnel_protocol");
  });
});
