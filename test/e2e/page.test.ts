/** The control plane's page in Chromium, with the running demo behind it: what an operator does with each view. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { buildPage } from "../../agents/packaging/page.ts";
import { createAgent } from "../../src/agent/agent.ts";
import type { Agent } from "../../src/agent/agent.ts";
import { startDemo } from "../../src/demo/system.ts";
import type { DemoSystem } from "../../src/demo/system.ts";
import { silentLogger } from "../../src/wire/log.ts";
import { call, targetUrl } from "../support/http.ts";
import { missing } from "../support/parts.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { startChromium } from "./browser/chromium.ts";
import type { TestBrowser } from "./browser/chromium.ts";
import { openDashboard, openView, signIn } from "./browser/dashboard.ts";
import type { Dashboard } from "./browser/dashboard.ts";

const BUILT = new URL("../../dist/page", import.meta.url).pathname;
/** No one listens there: port 1 of the loopback interface. */
const REFUSING = "127.0.0.1:1";

describe("the page of a control plane", { skip: missing("chromium"), timeout: 240_000 }, () => {
  let demo: DemoSystem;
  let chromium: TestBrowser;
  let dashboard: Dashboard;
  let page: Page;
  let url: string;

  before(async () => {
    await buildPage(BUILT);
    demo = await startDemo({ port: 0, adminToken: ADMIN_TOKEN, log: silentLogger });
    url = `http://127.0.0.1:${demo.controlPlane.port}`;
    chromium = await startChromium();
    dashboard = await openDashboard(chromium.browser, { url: `${url}/` });
    ({ page } = dashboard);
  });
  after(async () => {
    await dashboard[Symbol.asyncDispose]();
    await chromium[Symbol.asyncDispose]();
    await demo.close();
  });

  const agentOf = (id: string, targets: Record<string, string>): Agent =>
    createAgent({
      server: url,
      token: { value: ADMIN_TOKEN },
      runners: { [id]: targets },
      connections: 1,
      log: silentLogger,
    });

  it("says why a token is not taken, and keeps none that is", async () => {
    await page.getByLabel("Token").fill("not-a-token");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This token is not known").waitFor();
    await signIn(page, ADMIN_TOKEN);
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    const kept = await page.evaluate<string>(
      "JSON.stringify([location.href, document.cookie, { ...localStorage }, { ...sessionStorage }, document.documentElement.outerHTML])",
    );
    assert.ok(!kept.includes(ADMIN_TOKEN));
  });

  it("draws the way of requests, with each runner as a link", async () => {
    const topology = page.getByRole("region", { name: "Topology" });
    await topology.getByRole("link", { name: /^wolf-local/ }).waitFor();
    await topology.getByText("Control plane").waitFor();
    assert.equal(await topology.getByRole("link").count(), 3);
  });

  it("searches, filters and groups runners, and pings and kicks one after a confirmation", async () => {
    await openView(page, "Runners");
    const table = page.getByRole("table", { name: "Runners" });
    await table.getByRole("link", { name: "wolf-local" }).waitFor();
    await page.getByLabel("Search runners").fill("sandbox");
    await table.getByRole("link", { name: "wolf-local" }).waitFor({ state: "detached" });
    await table.getByRole("link", { name: "sandbox-ses_demo" }).waitFor();
    await page.getByLabel("Search runners").fill("nothing like it");
    await page.getByRole("button", { name: "Clear search and filter" }).click();
    await page.getByRole("button", { name: "Group by prefix" }).click();
    await table.getByRole("button", { name: /^▾ wolf|^wolf/ }).click();
    await table.getByRole("link", { name: "wolf-local" }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Group by prefix" }).click();
    await table.getByRole("link", { name: "wolf-local" }).click();
    await page.getByRole("heading", { level: 1, name: "wolf-local" }).waitFor();
    await page.getByRole("region", { name: "Targets" }).getByText("accepts connections").waitFor();
    const connections = page.getByRole("region", { name: "Connections" });
    const connection = await connections.locator("tbody td").first().textContent();
    await page.getByText(/turnabout forward --server \S+ 8000=wolf-local\/wolf/).waitFor();
    await page.getByRole("button", { name: "Ping" }).click();
    await page.getByText(/wolf-local: [\d.]+ ms to its agent and back/).waitFor();
    await page.getByRole("button", { name: "Kick…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Kick…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Kick" }).click();
    await page.getByText("its connections drain").waitFor();
    await connections.getByText(connection ?? "", { exact: true }).waitFor({ state: "detached" });
  });

  it("shows an agent that is lost and back, in every place", async () => {
    await using agent = agentOf("edge-1", { web: REFUSING });
    await agent.connected();
    await openView(page, "Overview");
    await page
      .getByRole("region", { name: "Topology" })
      .getByRole("link", { name: /^edge-1/ })
      .waitFor();
    await agent.close();
    await page
      .getByRole("region", { name: "Needs attention" })
      .getByRole("link", { name: "edge-1" })
      .waitFor();
    await openView(page, "Runners");
    await page.getByRole("table").getByRole("link", { name: "edge-1" }).click();
    await page
      .getByText("requests to its targets get 503")
      .or(page.getByText("Dials wait for it"))
      .first()
      .waitFor();
    await using back = agentOf("edge-1", { web: REFUSING });
    await back.connected();
    await page.locator(".view-head").getByText("connected", { exact: true }).waitFor();
    await page.getByText(/^Lost/).first().waitFor();
  });

  it("explains a failed request in two clicks, compares it, and gives it as a command", async () => {
    await using agent = agentOf("edge-2", { web: REFUSING });
    await agent.connected();
    await openView(page, "Requests");
    const table = page.getByRole("table", { name: "Requests" });
    await call(targetUrl(url, "edge-2", "web", "/orders?secret=1"));
    await call(targetUrl(url, "wolf-local", "wolf", "/api/v1/apps"));
    await table
      .getByRole("link", { name: /\/orders.*target_refused/ })
      .first()
      .click();
    const detail = page.getByRole("complementary", { name: "Request" });
    await detail.getByText("What to do").waitFor();
    await detail.getByText("target_refused means").waitFor();
    assert.match(
      (await detail.locator(".copy-line code").textContent()) ?? "",
      /^curl .*\/orders\?secret=\*/,
    );
    await detail.getByRole("button", { name: "Compare with another" }).click();
    await table
      .getByRole("link", { name: /\/api\/v1\/apps/ })
      .first()
      .click();
    await detail.getByRole("region", { name: "Comparison" }).getByText("target_refused").waitFor();
    await detail.getByRole("button", { name: "End the comparison" }).click();
    await page.getByLabel("Show").selectOption("Failed");
    await table.getByRole("link", { name: /\/api\/v1\/apps/ }).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Pause" }).click();
    await call(targetUrl(url, "edge-2", "web", "/later"));
    await page.getByRole("button", { name: /Paused · 1 new/ }).waitFor();
  });

  it("issues a token whose secret it shows once, and says what a revocation closes", async () => {
    await openView(page, "Access");
    await page.getByRole("button", { name: "New token" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill("ci");
    await dialog.getByLabel("Runners").fill("wolf-*");
    await dialog.getByRole("button", { name: "Create token" }).click();
    const secret = (await dialog.locator(".copy-line code").textContent()) ?? "";
    const asCi = await call(targetUrl(url, "wolf-local", "wolf", "/api/v1/apps"), { token: secret });
    assert.equal(asCi.status, 200);
    await dialog.getByRole("button", { name: "I have it" }).click();
    assert.ok(!(await page.content()).includes(secret));
    await page.getByRole("button", { name: "Revoke ci" }).click();
    await dialog.getByText(/It has open:/).waitFor();
    await dialog.getByRole("button", { name: "Revoke" }).click();
    await page.getByText("ci is revoked").waitFor();
    assert.equal((await call(`${url}/api/v1/runners`, { token: secret })).status, 401);
    await page.getByRole("link", { name: "Audit" }).click();
    const audit = page.getByRole("region", { name: "Audit trail" });
    await audit.getByText("issued the token").first().waitFor();
    await audit.getByText("revoked the token").first().waitFor();
  });

  it("creates a session, shows its screen, and stops it", async () => {
    await openView(page, "Sessions");
    await page.getByRole("button", { name: "New session" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("mine");
    await page.getByRole("button", { name: "Create session" }).click();
    const card = page.getByRole("listitem").filter({ has: page.getByRole("heading", { name: "mine" }) });
    await card.getByRole("img", { name: "Screen of mine" }).waitFor();
    await card.getByRole("button", { name: "Stop mine" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Stop" }).click();
    await card.waitFor({ state: "detached" });
    await page.getByRole("link", { name: "Instances" }).click();
    await page.getByRole("region", { name: "Instances" }).getByText("online").waitFor();
  });

  it("shows a user what is the user's own, and nothing for admins", async () => {
    const body = JSON.stringify({ id: "alice", kind: "user", runners: ["wolf-*"] });
    const headers = { "content-type": "application/json" };
    const issued = await call(`${url}/api/v1/tokens`, { method: "POST", headers, body });
    const { token } = JSON.parse(issued.body) as { token: string };
    await using alice = await openDashboard(chromium.browser, { url: `${url}/#/runners`, token });
    await alice.page.getByRole("table").getByRole("link", { name: "wolf-local" }).waitFor();
    assert.equal(await alice.page.getByRole("table").getByRole("link").count(), 1);
    assert.equal(await alice.page.getByRole("link", { name: "Access" }).count(), 0);
    await alice.page.getByRole("table").getByRole("link", { name: "wolf-local" }).click();
    await alice.page.getByRole("button", { name: "Ping" }).waitFor();
    assert.equal(await alice.page.getByRole("button", { name: "Kick…" }).count(), 0);
    assert.deepEqual(alice.problems, []);
  });

  it("signs out, and what was open ends with it", async () => {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    assert.equal((await page.request.get(`${url}/api/v1/runners`)).status(), 401);
    assert.deepEqual(dashboard.problems, []);
  });

  it("says that the control plane is gone, and keeps the place until it is back", async () => {
    const { port } = demo.controlPlane;
    await page.goto(`${url}/#/runners`);
    await signIn(page, ADMIN_TOKEN);
    await page.getByRole("table").getByRole("link", { name: "wolf-local" }).waitFor();
    await demo.close();
    await page.getByText("Connection lost").waitFor();
    await page.getByRole("alert").getByText("What you see may be old").waitFor();
    demo = await startDemo({ port, adminToken: ADMIN_TOKEN, log: silentLogger });
    await page
      .getByRole("button", { name: "Try now" })
      .click({ timeout: 2_000 })
      .catch(() => {});
    await page.getByText("Your sign-in has ended").waitFor();
    await signIn(page, ADMIN_TOKEN);
    await page.getByRole("heading", { level: 1, name: "Runners" }).waitFor();
  });
});
