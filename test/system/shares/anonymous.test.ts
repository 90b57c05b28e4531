/** Requests without a valid credential are bounded by client address, and never at the cost of one who has one. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { call, errorCode } from "../../support/http.ts";
import type { CallOptions, HttpResponse } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

/** Calls until the rate is used up; it is refilled meanwhile, which a slow machine may see. */
async function untilLimited(
  url: string,
  options: CallOptions,
): Promise<{ before: number[]; last: HttpResponse }> {
  const before: number[] = [];
  for (let n = 0; n < 100; n += 1) {
    const last = await call(url, options);
    if (last.status === 429) return { before, last };
    before.push(last.status);
  }
  return assert.fail("never limited");
}

function limited(anonymousPerS: number): Promise<System> {
  return startSystem({ controlPlane: { anonymousPerS } });
}

const CONNECT = (token: string): string =>
  `CONNECT ${TARGET}.${RUNNER}:80 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer ${token}\r\n\r\n`;
const PTTH = (token: string): string =>
  `GET /api/v1/revdial?runnerid=x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\nAuthorization: Bearer ${token}\r\n\r\n`;

describe("requests without a credential", () => {
  it("get 429 above their rate, except probes; one with a credential is served", async () => {
    await using system = await limited(1);
    const { before, last } = await untilLimited(`${system.url}/openapi.json`, { token: null });
    assert.ok(before.length >= 10, `${before.length} were served`);
    assert.deepEqual(new Set(before), new Set([200]));
    assert.deepEqual([errorCode(last), last.headers["retry-after"]], ["rate_limited", "1"]);
    assert.match(String(last.headers["proxy-status"]), /^turnabout; error=/);
    const status = async (path: string, token?: null): Promise<number> =>
      (await call(`${system.url}${path}`, token === undefined ? {} : { token })).status;
    assert.equal(await status("/api/v1/runners", null), 429, "in place of 401");
    assert.equal(await status("/no-such-page", null), 429, "in place of 404");
    for (let n = 0; n < 20; n += 1) {
      assert.equal(await status("/healthz", null), 200);
      assert.equal(await status("/readyz", null), 200);
      assert.equal(await status("/api/v1/runners"), 200);
      assert.equal(await status("/metrics"), 200);
    }
    assert.match((await call(`${system.url}/metrics`)).body, /\{share="anonymous_requests"\} 3\n/);
  });

  it("of another address are not affected", async () => {
    await using system = await limited(1);
    await untilLimited(`${system.url}/openapi.json`, { token: null });
    const request = "GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const { statuses } = await exchangeRaw(system.controlPlane.port, request, { from: "127.0.0.2" });
    assert.deepEqual(statuses, [200]);
  });
});

describe("requests with an invalid credential", () => {
  const places: Readonly<Record<string, (system: System) => Promise<unknown>>> = {
    "on the API": ({ url }) => untilLimited(`${url}/api/v1/runners`, { token: "wrong" }),
    "on a route to a target": ({ url }) =>
      untilLimited(`${url}/api/v1/runners/${RUNNER}/targets/${TARGET}/`, { token: "wrong" }),
    "at /metrics": ({ url }) => untilLimited(`${url}/metrics`, { token: "wrong" }),
    "by CONNECT": ({ controlPlane }) => rawUntilLimited(controlPlane.port, CONNECT("wrong")),
    "at the agent endpoint": ({ controlPlane }) => rawUntilLimited(controlPlane.port, PTTH("wrong")),
  };

  for (const [place, failing] of Object.entries(places)) {
    it(`get 429 above their rate ${place}; a valid one from the same address is served everywhere`, async () => {
      await using system = await limited(1);
      await failing(system);
      assert.equal((await call(`${system.url}/api/v1/runners`)).status, 200);
      const { port } = system.controlPlane;
      assert.deepEqual((await exchangeRaw(port, CONNECT("wrong"))).statuses, [429]);
      await system.addAgent({ "runner-2": { [TARGET]: system.target.address } });
    });
  }
});

async function rawUntilLimited(port: number, request: string): Promise<void> {
  for (let n = 0; n < 100; n += 1) {
    const { statuses } = await exchangeRaw(port, request);
    if (statuses[0] === 429) return;
    assert.ok(statuses[0] === 401 || statuses[0] === 407, String(statuses));
  }
  assert.fail("never limited");
}
