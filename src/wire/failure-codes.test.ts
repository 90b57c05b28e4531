import assert from "node:assert/strict";
import { constants } from "node:http2";
import { constants as osConstants } from "node:os";
import { describe, it } from "node:test";
import { ERROR_TABLE, isErrorCode } from "./error-table.ts";
import type { ErrorCode } from "./error-table.ts";
import { codeFromErrno, codeFromRst, codeFromStatus } from "./failure-codes.ts";

const STATUSES = new Set(Object.values(ERROR_TABLE).map(({ status }) => status));

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
      const known = STATUSES.has(status);
      if (known && code !== "tunnel_protocol") assert.equal(ERROR_TABLE[code].status, status);
    }
    for (let rst = 0; rst < 20; rst += 1) assert.ok(isErrorCode(codeFromRst(rst)));
    assert.equal(codeFromRst(constants.NGHTTP2_REFUSED_STREAM), "overloaded");
    assert.equal(codeFromRst(constants.NGHTTP2_INTERNAL_ERROR), "target_closed");
    assert.equal(codeFromRst(constants.NGHTTP2_PROTOCOL_ERROR), "tunnel_protocol");
  });
});
