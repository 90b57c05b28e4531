/** Bodies of API requests take turns of the event loop: how much of them one credential may send, and how deeply they nest. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { LARGE_BODY_BYTES, LARGE_BODY_BYTES_BURST } from "../../../src/control/shares/limits.ts";
import { call, errorCode } from "../../support/http.ts";
import type { HttpResponse } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

describe("the body of an API request", () => {
  it("is refused with 429 where a user sends more of large ones than its share; others are not affected", async () => {
    const user = "alice";
    const tokens: TokenRecord[] = [{ id: user, kind: "user", sha256: hashToken(user), runners: ["*"] }];
    await using system = await startSystem({ controlPlane: { tokens } });
    const post = (token: string | undefined, bytes: number): Promise<HttpResponse> =>
      call(`${system.url}/api/v1/tokens`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "[".padEnd(bytes, " "),
        ...(token === undefined ? {} : { token }),
      });
    assert.equal(errorCode(await post(user, LARGE_BODY_BYTES_BURST)), "not_allowed");
    const limited = await post(user, LARGE_BODY_BYTES_BURST);
    assert.deepEqual([limited.status, errorCode(limited)], [429, "rate_limited"]);
    assert.match(String(limited.headers["retry-after"]), /^[1-4]$/);
    assert.equal(errorCode(await post(user, LARGE_BODY_BYTES)), "not_allowed", "a small one is not counted");
    for (let n = 0; n < 4; n += 1)
      assert.equal(errorCode(await post(undefined, LARGE_BODY_BYTES_BURST)), "bad_request", "an admin");
    const metrics = (await call(`${system.url}/metrics`)).body;
    assert.match(metrics, /\{share="large_bodies"\} 1\n/);
  });

  it("is refused as malformed if it nests too deeply", async () => {
    await using system = await startSystem();
    const details = async (depth: number): Promise<unknown> => {
      const body = '{"runners":'.repeat(depth) + "1" + "}".repeat(depth);
      const headers = { "content-type": "application/json" };
      const response = await call(`${system.url}/api/v1/tokens`, { method: "POST", headers, body });
      assert.equal(errorCode(response), "bad_request");
      return (JSON.parse(response.body) as { error: { details?: unknown } }).error.details;
    };
    const malformed = ["Malformed JSON in request body"];
    assert.notDeepEqual(await details(60), malformed, "only the schema refuses it");
    assert.deepEqual(await details(70), malformed);
  });
});
