/**
 * Pictures of the page, each view in light, dark and on a phone, with the demo and some traffic behind it:
 *
 *     node test/e2e/screenshots.ts [FOLDER [SECONDS]]     default screenshots, and 45 s of traffic before the first picture
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { buildPage } from "../../agents/packaging/page.ts";
import { createAgent } from "../../src/agent/agent.ts";
import { startDemo } from "../../src/demo/system.ts";
import { silentLogger } from "../../src/wire/log.ts";
import { call, targetUrl } from "../support/http.ts";
import { ADMIN_TOKEN } from "../support/system.ts";
import { startHttpTarget } from "../support/target.ts";
import { startChromium } from "./browser/chromium.ts";
import { openDashboard } from "./browser/dashboard.ts";

const [folder = "screenshots", seconds = "45"] = process.argv.slice(2);
const VARIANTS = [
  { name: "light", theme: "light", width: 1_280 },
  { name: "dark", theme: "dark", width: 1_280 },
  { name: "narrow", theme: "light", width: 390 },
] as const;

/** What is opened, and what is there when it has loaded. */
const VIEWS: readonly { name: string; fragment: string; loaded: (page: Page) => Promise<unknown> }[] = [
  {
    name: "overview",
    fragment: "overview",
    loaded: (page) => page.locator(".plot canvas").first().waitFor(),
  },
  { name: "runners", fragment: "runners", loaded: (page) => page.getByRole("table").waitFor() },
  { name: "runner", fragment: "runners/edge-1", loaded: (page) => page.locator(".history").waitFor() },
  { name: "requests", fragment: "requests", loaded: openFailed },
  {
    name: "sessions",
    fragment: "sessions",
    loaded: (page) => page.getByRole("img", { name: /^Screen/ }).waitFor(),
  },
  {
    name: "instances",
    fragment: "sessions/instances",
    loaded: (page) => page.locator(".meter").first().waitFor(),
  },
  {
    name: "access",
    fragment: "access",
    loaded: (page) => page.getByRole("region", { name: "Tokens" }).waitFor(),
  },
  {
    name: "audit",
    fragment: "access/audit",
    loaded: (page) => page.getByRole("region", { name: "Audit trail" }).waitFor(),
  },
];

async function openFailed(page: Page): Promise<void> {
  await page
    .getByRole("link", { name: /target_refused/ })
    .first()
    .click();
  await page.getByText("What to do").waitFor();
}

await buildPage(path.resolve("dist/page"));
await mkdir(folder, { recursive: true });
await using stack = new AsyncDisposableStack();
const target = await startHttpTarget((request, response) => {
  request.resume();
  const status = request.url?.startsWith("/missing") === true ? 404 : 200;
  setTimeout(() => response.writeHead(status).end("x".repeat(20_000)), Math.random() * 40);
});
stack.defer(() => target.close());
const demo = await startDemo({ port: 0, adminToken: ADMIN_TOKEN, log: silentLogger });
stack.defer(() => demo.close());
const url = `http://127.0.0.1:${demo.controlPlane.port}`;
const agent = createAgent({
  server: url,
  token: { value: ADMIN_TOKEN },
  runners: {
    "edge-1": { web: target.address, orders: "127.0.0.1:1" },
    "edge-2": { web: target.address },
  },
  log: silentLogger,
});
stack.defer(() => agent.close());
await agent.connected();
const json = { "content-type": "application/json" };
const post = (place: string, body: object) =>
  call(`${url}/api/v1/${place}`, { method: "POST", headers: json, body: JSON.stringify(body) });
await post("tokens", { id: "ci", kind: "user", runners: ["edge-*"], expires_in_s: 2_592_000 });
await post("tokens", { id: "edge-1", kind: "runner", runners: ["edge-1"] });
await post("sessions", { name: "review" });
const traffic = new AbortController();
const ended = sendTraffic(traffic.signal);
stack.defer(async () => {
  traffic.abort();
  await ended;
});
await delay(Number(seconds) * 1_000);
const chromium = stack.use(await startChromium());
for (const { name, theme, width } of VARIANTS) {
  await using dashboard = await openDashboard(chromium.browser, {
    url: `${url}/`,
    token: ADMIN_TOKEN,
    theme,
    width,
  });
  for (const view of VIEWS) {
    await dashboard.page.goto(`${url}/#/${view.fragment}`);
    await view.loaded(dashboard.page);
    await delay(600);
    const file = path.join(folder, `${view.name}-${name}.webp`);
    const picture = await dashboard.page.screenshot({
      fullPage: view.name === "overview" || view.name === "runner",
    });
    await writeFile(file, await sharp(picture).webp({ quality: 82 }).toBuffer());
    process.stdout.write(`${file}\n`);
  }
  for (const problem of dashboard.problems) process.stdout.write(`problem: ${problem}\n`);
}

async function sendTraffic(signal: AbortSignal): Promise<void> {
  for (let n = 0; !signal.aborted; n += 1) {
    const [runner, place] =
      n % 9 === 0 ? (["edge-1", "orders"] as const) : ([`edge-${1 + (n % 2)}`, "web"] as const);
    await call(targetUrl(url, runner, place, n % 23 === 0 ? "/missing" : `/items/${n}?page=${n}`)).catch(
      () => {},
    );
    await delay(60);
  }
}
