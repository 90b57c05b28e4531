/** The options of `turnabout serve` that say which reverse proxies are trusted. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { startServe } from "../../support/commands.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { API } from "../../support/smuggling.ts";

afterEach(() => assertNothingOpen());

const TRUSTED_PROXY = "127.0.0.3";
const CLIENT = "203.0.113.9";

describe("the client of a request", () => {
  it("follows the options of `turnabout serve`", async () => {
    const args = [
      "--trusted-proxy",
      TRUSTED_PROXY,
      "--proxy-protocol",
      "require",
      "--forwarded-fields",
      "forwarded",
    ];
    await using serve = await startServe(args);
    const fields = `Host: cp.example\r\nForwarded: for=${CLIENT}\r\nConnection: close\r\n\r\n`;
    const header = `PROXY TCP4 ${TRUSTED_PROXY} 198.51.100.1 1 2\r\n`;
    await exchangeRaw(serve.port, `${header}GET ${API}/ HTTP/1.1\r\n${fields}`, { from: TRUSTED_PROXY });
    assert.equal((await serve.logged("request refused"))["client"], CLIENT);
  });
});
