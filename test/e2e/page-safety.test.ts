/** The control plane's page in Chromium: hostile texts, a base path, the keyboard alone, and the rules of axe-core. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { buildPage } from "../../agents/packaging/page.ts";
import { helix } from "../../src/helix/helix.ts";
import { call, targetUrl } from "../support/http.ts";
import { missing } from "../support/parts.ts";
import { exchangeRaw } from "../support/raw-http.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../support/system.ts";
import type { System } from "../support/system.ts";
import { startHttpTarget } from "../support/target.ts";
import { startChromium } from "./browser/chromium.ts";
import type { TestBrowser } from "./browser/chromium.ts";
import { openDashboard, openView } from "./browser/dashboard.ts";

const BUILT = new URL("../../dist/page", import.meta.url).pathname;
const VIEWS = ["Overview", "Runners", "Requests", "Sessions", "Access"] as const;
/** Would run in a document; in JSON, an attribute, a URL or a script's text, too. */
const MARKUP = `"><img src=x onerror="document.title='hacked'"><script>document.title='hacked'</script>\${1}`;

interface AxeResults {
  violations: { id: string; impact: string | null; nodes: { html: string; failureSummary?: string }[] }[];
}

async function seriousProblems(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<AxeResults>(
    "axe.run(document, { resultTypes: ['violations'] })",
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary ?? ""}`);
}

describe("the page of a control plane", { skip: missing("chromium"), timeout: 240_000 }, () => {
  let system: System;
  let chromium: TestBrowser;
  let home: string;

  before(async () => {
    await buildPage(BUILT);
    const target = await startHttpTarget((request, response) => {
      request.resume();
      response.writeHead(500, { "x-test": "1" }).end(MARKUP);
    });
    system = await startSystem({
      target,
      controlPlane: { basePath: "/base", extensions: [helix()] },
      agents: 0,
    });
    await system.addAgent(
      { [RUNNER]: { web: target.address, down: "127.0.0.1:1" } },
      { server: `${system.url}/base` },
    );
    home = `${system.url}/base/`;
    chromium = await startChromium();
  });
  after(async () => {
    await chromium[Symbol.asyncDispose]();
    await system.close();
  });

  const post = (path: string, body: object): Promise<{ status: number; body: string }> =>
    call(`${home}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  it("shows markup in names, paths and fragments as text, below a base path", async () => {
    const issued = await post("api/v1/tokens", { id: "eve", kind: "user", owner: MARKUP, runners: ["*"] });
    assert.equal(issued.status, 201, issued.body);
    const { token } = JSON.parse(issued.body) as { token: string };
    const hostile = "/<img/src=x/onerror=document.title=`hacked`>";
    const fields = `Host: x\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`;
    for (const [name, status] of [
      ["web", 500],
      ["down", 502],
    ] as const) {
      // As it is: a URL would be encoded.
      const path = targetUrl("/base", RUNNER, name, hostile);
      const { statuses } = await exchangeRaw(system.controlPlane.port, `GET ${path} HTTP/1.1\r\n${fields}`);
      assert.deepEqual(statuses, [status]);
    }
    await using dashboard = await openDashboard(chromium.browser, { url: home, token: ADMIN_TOKEN });
    const { page, problems } = dashboard;
    await openView(page, "Requests");
    for (const status of ["500", "502"])
      await page.getByRole("table").getByText(status, { exact: true }).first().waitFor();
    const images = page.locator('img[src^="x"]');
    assert.equal(await images.count(), 0, "in the list of requests");
    await page.getByRole("table").getByRole("link", { name: "target_refused" }).first().click();
    await page.getByRole("complementary").getByText("onerror", { exact: false }).first().waitFor();
    await openView(page, "Access");
    await page.getByRole("region", { name: "Tokens" }).getByText("onerror").waitFor();
    for (const fragment of [
      `runners/${encodeURIComponent(MARKUP)}`,
      `requests/${encodeURIComponent(MARKUP)}`,
      encodeURIComponent(MARKUP),
    ]) {
      await page.goto(`${home}#/${fragment}`);
      await page.getByRole("heading").first().waitFor();
    }
    assert.equal(await images.count(), 0);
    assert.notEqual(await page.title(), "hacked");
    assert.deepEqual(problems, []);
  });

  for (const theme of ["light", "dark"] as const) {
    it(`has nothing serious that axe-core finds, in the ${theme} theme and on a phone`, async () => {
      for (const width of [1_280, 390]) {
        await using dashboard = await openDashboard(chromium.browser, { url: home, width, theme });
        const { page } = dashboard;
        assert.deepEqual(await seriousProblems(page), [], "the sign-in");
        await page.getByLabel("Token").fill(ADMIN_TOKEN);
        await page.keyboard.press("Enter");
        for (const view of VIEWS) {
          await openView(page, view);
          await page.getByText("Loading").waitFor({ state: "detached" });
          assert.deepEqual(await seriousProblems(page), [], `${view}, ${width} px`);
          const overflow = await page.evaluate<number>("document.documentElement.scrollWidth - innerWidth");
          assert.ok(overflow <= 0, `${view} is ${overflow} px too wide at ${width} px`);
        }
        await page.goto(`${home}#/runners/${RUNNER}`);
        await page.getByRole("button", { name: "Kick…" }).click();
        assert.deepEqual(await seriousProblems(page), [], "a dialog");
        assert.deepEqual(dashboard.problems, []);
      }
    });
  }

  it("keeps the rows in view of 5,000 runners in the document, and no others", async () => {
    await using dashboard = await openDashboard(chromium.browser, { url: home });
    const { page } = dashboard;
    await page.route("**/api/v1/runners", async (route) => {
      const response = await route.fetch();
      const { runners } = (await response.json()) as { runners: { id: string }[] };
      const many = Array.from({ length: 5_000 }, (_, n) => ({ ...runners[0], id: `p${n % 40}-${n}` }));
      await route.fulfill({ response, json: { runners: many } });
    });
    await page.getByLabel("Token").fill(ADMIN_TOKEN);
    await page.keyboard.press("Enter");
    await page.getByRole("region", { name: "Topology" }).getByText("others", { exact: true }).waitFor();
    await openView(page, "Runners");
    const rows = page.getByRole("table").getByRole("row");
    await page.getByText("5,000 runners").waitFor();
    assert.ok((await rows.count()) < 100);
    await page.getByRole("table").focus();
    await page.keyboard.press("End");
    await page.getByRole("link", { name: "p39-4999" }).and(page.locator(":focus")).waitFor();
    assert.ok((await rows.count()) < 100);
    await page.getByLabel("Search runners").fill("4999");
    await page.getByText("1 runner of 5,000").waitFor();
    assert.deepEqual(dashboard.problems, []);
  });

  it("works by keyboard alone: sign-in, views, a runner, a dialog that gives the focus back", async () => {
    await using dashboard = await openDashboard(chromium.browser, { url: home });
    const { page } = dashboard;
    const focused = (): Promise<string> =>
      page.evaluate<string>(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent",
      );
    const tabTo = async (name: string): Promise<void> => {
      for (let steps = 0; steps < 60; steps += 1) {
        if ((await focused()).trim() === name) return;
        await page.keyboard.press("Tab");
      }
      assert.fail(`no way to ${name} by Tab`);
    };
    await page.getByLabel("Token").and(page.locator(":focus")).waitFor();
    await page.keyboard.type(ADMIN_TOKEN);
    await page.keyboard.press("Enter");
    await page.getByRole("navigation").waitFor();
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to content");
    await tabTo("Runners");
    await page.keyboard.press("Enter");
    await page.getByRole("table", { name: "Runners" }).waitFor();
    await tabTo("Group by prefix");
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowDown");
    assert.equal(await focused(), RUNNER);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: RUNNER }).waitFor();
    await tabTo("Kick…");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Kick…" }).and(page.locator(":focus")).waitFor();
  });
});
