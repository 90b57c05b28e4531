/** An unmodified web application with a login, in a real browser: through the API route and the forward proxy. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, BrowserContext, Page, Response } from "playwright-core";
import { WebSocketServer } from "ws";
import { via } from "../support/callers.ts";
import { missing } from "../support/parts.ts";
import { ADMIN_TOKEN, RUNNER, startSystem } from "../support/system.ts";
import type { System } from "../support/system.ts";
import { startHttpTarget } from "../support/target.ts";
import { PASSWORD, startApplication, USER } from "./application/application.ts";
import { startChromium } from "./browser/chromium.ts";

const ROUTE = via("", "web");
const MINUTE = { timeout: 60_000 };

describe("a web application in Chromium", { skip: missing("chromium", "certutil", "django-admin") }, () => {
  const stack = new AsyncDisposableStack();
  /** Django takes the prefix of its static files from its first request, so each route has its own. */
  let addresses: string[];
  before(async () => {
    const applications = await Promise.all([startApplication(), startApplication()]);
    addresses = applications.map((application) => stack.use(application).address);
  });
  after(() => stack.disposeAsync());

  async function start(options: Parameters<typeof startSystem>[0] = {}): Promise<System> {
    const system = await startSystem({ ...options, agents: 0 });
    const [onRoute = "", byProxy = ""] = addresses;
    await system.addAgent({ [RUNNER]: { web: onRoute, site: byProxy } });
    return system;
  }

  it("works through its route with the cookie, if the operator trusts its pages", MINUTE, async () => {
    await using system = await start({ controlPlane: { trustedPages: [`web.${RUNNER}`] } });
    await using chromium = await startChromium();
    const context = await chromium.browser.newContext();
    await context.addCookies([{ name: "access_token", value: ADMIN_TOKEN, url: system.url }]);
    await useApplication(context, `${system.url}${ROUTE}`, ROUTE);
    await context.close();
  });

  it("works through its route with the token in a field", MINUTE, async () => {
    await using system = await start();
    await using chromium = await startChromium();
    const context = await chromium.browser.newContext({
      extraHTTPHeaders: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    await useApplication(context, `${system.url}${ROUTE}`, ROUTE);
    await context.close();
  });

  it("is isolated from our origin unless its pages are trusted", MINUTE, async () => {
    await using system = await start({ controlPlane: { trustedPages: ["other.*"] } });
    await using chromium = await startChromium();
    const context = await chromium.browser.newContext();
    await context.addCookies([{ name: "access_token", value: ADMIN_TOKEN, url: system.url }]);
    const page = await context.newPage();
    await page.goto(`${system.url}${ROUTE}/admin/`);
    assert.equal(new URL(page.url()).pathname, `${ROUTE}/admin/login/`, "reading works, redirects too");
    assert.equal(await page.evaluate<string>("self.origin"), "null");
    const response = await logIn(page, PASSWORD);
    assert.equal(response?.status(), 403, "but its form is from an origin that has no part in ours");
    await context.close();
  });

  it("works through the forward proxy of an HTTPS proxy setting, WebSockets too", MINUTE, async () => {
    await using system = await start({ tls: true });
    const seen: string[] = [];
    await using plain = await startHttpTarget((request, response) => {
      seen.push(`${request.url} ${request.headers.via}`);
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>plain</title>");
    });
    const sockets = new WebSocketServer({ server: plain.http });
    sockets.on("connection", (socket) => {
      socket.on("message", (data) => socket.send(`echo ${(data as Buffer).toString()}`));
    });
    await system.addAgent({ "runner-2": { plain: plain.address } });
    const server = `https://localhost:${system.controlPlane.port}`;
    await using chromium = await startChromium({ ca: system.pki?.ca });
    await assertRefusesStrangers(chromium.browser, server);
    const context = await chromium.browser.newContext({
      proxy: { server, username: "x", password: ADMIN_TOKEN },
    });
    await useApplication(context, `http://site.${RUNNER}`, "");
    const page = await context.newPage();
    await page.goto("http://plain.runner-2/page?a=b");
    assert.equal(await page.title(), "plain");
    assert.ok(seen.includes("/page?a=b 2.0 turnabout"), `by HTTP/2 and without CONNECT: ${seen.join()}`);
    const echo = await page.evaluate<string>(`new Promise((resolve, reject) => {
      const socket = new WebSocket("ws://plain.runner-2/socket");
      socket.onopen = () => socket.send("hello");
      socket.onmessage = ({ data }) => { resolve(data); socket.close(); };
      socket.onerror = () => reject(new Error("failed"));
    })`);
    assert.equal(echo, "echo hello");
    await context.close();
    for (const socket of sockets.clients) socket.terminate();
  });
});

/** Without a credential, and with a wrong one, the proxy responds 407 and nothing reaches a target. */
async function assertRefusesStrangers(browser: Browser, server: string): Promise<void> {
  const context = await browser.newContext({ proxy: { server } });
  const page = await context.newPage();
  const response = await page.goto("http://plain.runner-2/secret").catch(() => null);
  assert.ok(response === null || response.status() === 407, `${response?.status()} for a stranger`);
  await context.close();
}

async function logIn(page: Page, password: string): Promise<Response | null> {
  await page.fill("input[name=username]", USER);
  await page.fill("input[name=password]", password);
  const [response] = await Promise.all([
    page.waitForNavigation({ waitUntil: "load" }),
    page.click("input[type=submit]"),
  ]);
  return response;
}

/** @param route path of the application on its origin, without a slash at the end */
async function useApplication(context: BrowserContext, url: string, route: string): Promise<void> {
  const page = await context.newPage();
  const failed: string[] = [];
  page.on("response", (response) => {
    const { pathname } = new URL(response.url());
    if (response.status() >= 400) failed.push(`${response.status()} ${pathname}`);
    if (!pathname.startsWith(`${route}/`)) failed.push(`left the route: ${pathname}`);
  });
  const path = (): string => new URL(page.url()).pathname;
  const own = async (): Promise<string[]> =>
    (await context.cookies())
      .filter(({ name }) => name !== "access_token")
      .map(({ name, path: at }) => `${name} ${at}`)
      .toSorted();

  await page.goto(`${url}/admin/`);
  assert.equal(path(), `${route}/admin/login/`, "the redirect stays on the route");
  assert.match(await page.title(), /^Log in/);
  const style = await page.evaluate<string>(
    "getComputedStyle(document.querySelector('#header')).backgroundColor",
  );
  assert.notEqual(style, "rgba(0, 0, 0, 0)", "its style sheets are there");

  await logIn(page, "a wrong password");
  assert.equal(path(), `${route}/admin/login/`);
  assert.match((await page.textContent(".errornote")) ?? "", /correct username and password/);
  assert.deepEqual(await own(), [`csrftoken ${route}/`]);

  await logIn(page, PASSWORD);
  assert.equal(path(), `${route}/admin/`, "the redirect behind the login");
  assert.match((await page.textContent("#user-tools")) ?? "", new RegExp(USER, "i"));
  assert.deepEqual(await own(), [`csrftoken ${route}/`, `sessionid ${route}/`]);

  const link = page.locator("#content-main a", { hasText: /^Users$/ });
  assert.equal(await link.getAttribute("href"), `${route}/admin/auth/user/`, "an absolute link");
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), link.click()]);
  assert.match(await page.title(), /^Select user/);
  assert.match((await page.textContent("#result_list")) ?? "", /alice@example\.com/);

  await page.goto(`${url}/admin/auth/user`);
  assert.equal(path(), `${route}/admin/auth/user/`, "the slash that a redirect appends");
  await page.goto(`${url}/admin/logout/`);
  assert.match((await page.textContent("#content")) ?? "", /Log in again/);
  assert.deepEqual(await own(), [`csrftoken ${route}/`]);
  await page.goto(`${url}/admin/auth/user/`);
  assert.equal(path(), `${route}/admin/login/`, "logged out");
  assert.deepEqual(
    failed.filter((what) => !what.endsWith("/favicon.ico")),
    [],
  );
  await page.close();
}
