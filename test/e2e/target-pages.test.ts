/** A page that a sandbox serves, opened by its viewer in a real browser, cannot act as the viewer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { targetUrl } from "../support/http.ts";
import { missing } from "../support/parts.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../support/system.ts";
import { startHttpTarget } from "../support/target.ts";
import { startChromium } from "./browser/chromium.ts";

const MALICIOUS = `<!doctype html><title>running</title><script>
const tries = {
  read: () => fetch("/api/v1/sessions", { credentials: "include" }).then((r) => r.text()),
  write: () => fetch("/api/v1/tokens", { method: "POST", credentials: "include", body: "{}" }).then((r) => r.text()),
  cookie: async () => document.cookie,
  storage: async () => localStorage.length,
};
(async () => {
  const seen = {};
  for (const [name, attempt] of Object.entries(tries)) {
    seen[name] = await attempt().then((value) => "allowed: " + value, (error) => "blocked: " + error.name);
  }
  seen.origin = String(self.origin);
  document.body.textContent = JSON.stringify(seen);
  document.title = "done";
})();
</script><body></body>`;

describe("a malicious page of a target", { skip: missing("chromium") }, () => {
  it("neither reads nor changes anything with its viewer's cookie", { timeout: 100_000 }, async () => {
    await using target = await startHttpTarget((_request, response) => {
      response.writeHead(200, { "content-type": "text/html" }).end(MALICIOUS);
    });
    await using system = await startSystem({ agents: 0 });
    await system.addAgent({ [RUNNER]: { web: target.address } });
    await using chromium = await startChromium();
    const context = await chromium.browser.newContext();
    await context.addCookies([{ name: "access_token", value: ADMIN_TOKEN, url: system.url }]);
    const page = await context.newPage();
    const response = await page.goto(targetUrl(system.url, RUNNER, "web"));
    assert.equal(response?.status(), 200, "the cookie opens the page");
    await page.waitForFunction('document.title === "done"', undefined, { timeout: 30_000 });
    const seen = JSON.parse(await page.evaluate<string>("document.body.textContent")) as Record<
      string,
      string
    >;
    for (const name of ["read", "write", "cookie", "storage"])
      assert.match(seen[name] ?? "", /^blocked: /, name);
    assert.equal(seen["origin"], "null");
    await context.close();
  });
});
