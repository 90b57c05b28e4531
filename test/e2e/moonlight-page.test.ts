/**
 * Moonlight Web's own page in a real browser, as an ordinary user by cookie: it loads whole, lists its host and streams; what is
 * another's and what is administration stays closed; and a revocation ends its media.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import type { MoonlightDialect } from "../../src/demo/moonlight/double.ts";
import { api } from "../support/api.ts";
import { call } from "../support/http.ts";
import { missing } from "../support/parts.ts";
import { newSession } from "../system/helix/sessions-stand.ts";
import { startChromium } from "./browser/chromium.ts";
import { Visit } from "./browser/visit.ts";
import { TEST_COLOUR } from "./host/test-picture.ts";
import { isNear } from "./pictures.ts";
import { until } from "./steps.ts";
import { CREDENTIALS, phase, startE2e, UPSTREAM_CREDENTIALS } from "./system.ts";
import type { E2eSystem } from "./system.ts";

/** VP8 has fewer colours than the screen. */
const VIDEO_TOLERANCE = 12;
/** What is measured is far below; a busy machine has to be far above. */
const MEDIA_END_TIMEOUT_MS = 15_000;
/** Without a byte for so long there is no media: ten frames of the streamer. */
const SILENCE_MS = 1_500;

/** A stream of v3, as its page makes one: by a POST to the prefix that it has from its configuration. */
const OFFER = `(async () => {
  const peer = new RTCPeerConnection();
  peer.createDataChannel("control");
  await peer.setLocalDescription();
  const response = await fetch(location.origin + __CONFIG_JS__.path_prefix + "/api/host/stream/webrtc", {
    method: "POST",
    headers: { "content-type": "application/sdp" },
    body: peer.localDescription.sdp,
  });
  return [response.status, response.headers.get("location"), await response.text()];
})()`;

interface Scene {
  t: { diagnostic(message: string): void };
  system: E2eSystem;
  dialect: MoonlightDialect;
  visit: Visit;
  page: Page;
  /** Path of the user's page, with a slash behind it. */
  base: string;
}

/** Files that Chromium requests only for a page that is installed. */
const NOT_LOADED: ReadonlySet<string> = new Set(["/manifest.json"]);

const skip = missing("setpriv", "chromium");

describe("Moonlight Web's page", { skip, concurrency: false }, () => {
  for (const dialect of ["fork", "v2"] as const) {
    it(`lists and streams for its user, and for no one else: ${dialect}`, { timeout: 120_000 }, async (t) => {
      await using system = await startE2e({ dialect });
      const { url, users } = system;
      const session = await newSession(url, {}, users.alice);
      const base = `/moonlight/s/${session.id}/`;
      await using chromium = await startChromium();
      await using visit = await Visit.start(chromium.browser, url, users.alice);
      const page = await visit.context.newPage();
      const scene: Scene = { t, system, dialect, visit, page, base };
      await phase(t, "the page lists its host and apps", () => listApps(scene));
      const stream = await openStream(scene);
      await phase(t, "video arrives", () => watch(scene, stream));
      await phase(t, "all of its files came, and nothing was complained about", () => assertWhole(scene));
      await phase(t, "administration stays closed", () => refuseAdministration(scene));
      await phase(t, "another user's session stays closed", () => refuseStrangers(scene));
      await phase(t, "the secret is nowhere in the browser", () => assertSecretsApart(scene));
      await phase(t, "a revocation ends the media", () => revoke(scene, stream));
    });
  }

  it("has its configuration as a script, and offers a stream below its own path: v3", async () => {
    await using system = await startE2e({ dialect: "v3" });
    const { url, users } = system;
    const session = await newSession(url, {}, users.alice);
    const base = `/moonlight/s/${session.id}/`;
    await using chromium = await startChromium();
    await using visit = await Visit.start(chromium.browser, url, users.alice);
    const page = await visit.context.newPage();
    await page.goto(url + base);
    await page.locator(".host", { hasText: "wolf" }).waitFor();
    const [status, location, sdp] = await page.evaluate<[number, string, string]>(OFFER);
    assert.equal(status, 201);
    assert.match(location, new RegExp(`^${base}api/host/stream/webrtc/\\d+$`));
    assert.match(sdp, /^a=candidate:/m);
    assert.equal((await system.host.view()).video.openPeers, 1);
    const ended = `fetch(${JSON.stringify(location)}, { method: "DELETE" }).then(({ status }) => status)`;
    assert.equal(await page.evaluate<number>(ended), 200);
    await system.host.until("the streamer has ended", ({ video }) => video.openPeers === 0);
    assert.deepEqual(visit.problems, []);
    assert.ok(!(await visit.everything()).includes(UPSTREAM_CREDENTIALS));
  });
});

/** Without the slash the page's relative addresses would be another folder's. */
async function listApps({ system, page, base, dialect }: Scene): Promise<void> {
  const response = await page.goto(system.url + base.slice(0, -1));
  assert.equal(response?.status(), 200);
  assert.equal(page.url(), system.url + base);
  const host = page.locator(".host", { hasText: "wolf" });
  await host.waitFor();
  if (dialect === "v2") {
    assert.match(await page.locator("#user").innerText(), /^alice \(User\)$/, "the viewer's own identity");
  }
  await host.click();
  await page.locator(".game", { hasText: "Wolf UI" }).waitFor();
}

/** In a window of its own, as the page opens it. */
async function openStream({ system, visit, page, base }: Scene): Promise<Page> {
  const [stream] = await Promise.all([
    visit.context.waitForEvent("page"),
    page.locator(".game", { hasText: "Wolf UI" }).click(),
  ]);
  assert.ok(stream.url().startsWith(`${system.url}${base}stream.html?hostId=0&appId=`), stream.url());
  return stream;
}

async function watch({ t, dialect }: Scene, stream: Page): Promise<void> {
  await stream.locator("#stages", { hasText: "ConnectionComplete" }).waitFor();
  if (dialect === "v2") await stream.locator("#stages", { hasText: "worker: depacketize" }).waitFor();
  await until("the video shows the streamer's picture", async () => {
    const { width, colour } = await Visit.measure(stream);
    return width > 0 && isNear(colour, TEST_COLOUR, VIDEO_TOLERANCE);
  });
  const before = await Visit.measure(stream);
  await until("more frames come", async () => {
    const { framesDecoded } = await Visit.measure(stream);
    return framesDecoded >= before.framesDecoded + 5;
  });
  const { framesDecoded, bytesReceived } = await Visit.measure(stream);
  t.diagnostic(`${framesDecoded} frames, ${bytesReceived} bytes of video`);
}

/** Each file of the site was needed, and none was missing. */
async function assertWhole({ visit, base, dialect }: Scene): Promise<void> {
  await visit.whole();
  const files = ["shared", dialect].flatMap((name) => {
    const site = fileURLToPath(new URL(`../../src/demo/moonlight/sites/${name}`, import.meta.url));
    return readdirSync(site, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => `${entry.parentPath}/${entry.name}`.slice(site.length));
  });
  const loaded = new Set(
    visit.loaded.filter(({ status }) => status < 400).map(({ path }) => path.split("?", 1)[0] ?? ""),
  );
  const absent = [...files, "/config.js"].filter((file) => {
    const path = base + (file === "/index.html" ? "" : file.slice(1));
    return !loaded.has(path) && !NOT_LOADED.has(file);
  });
  assert.deepEqual(absent, []);
  assert.deepEqual(
    visit.loaded.filter(({ path }) => !path.startsWith(base.slice(0, -1))),
    [],
    "nothing left the session's paths",
  );
  assert.deepEqual(visit.problems, []);
}

async function refuseAdministration({ page, base, visit, system }: Scene): Promise<void> {
  const before = await system.host.view();
  const refused = await page.evaluate<[string, number][]>(`Promise.all(${JSON.stringify([
    ["GET", "api/sessions"],
    ["GET", "api/admin/status"],
    ["GET", "api/users"],
    ["PUT", "api/host"],
    ["POST", "api/host"],
    ["DELETE", "api/host?host_id=0"],
    ["POST", "api/pair"],
    ["POST", "api/host/cancel"],
    ["POST", "api/login"],
  ])}.map(async ([method, path]) => {
    const body = method === "GET" || method === "DELETE" ? undefined : "{}";
    const headers = { "content-type": "application/json" };
    const { status } = await fetch(${JSON.stringify(base)} + path, { method, headers, body });
    return [method + " " + path, status];
  }))`);
  for (const [request, status] of refused) assert.equal(status, 403, request);
  const after = await system.host.view();
  assert.equal(after.moonlight.requests.length, before.moonlight.requests.length, "Moonlight heard of none");
  // Chromium reports each of them as an error.
  visit.problems.length = 0;
}

async function refuseStrangers({ system, visit, base }: Scene): Promise<void> {
  const { url, users } = system;
  for (const path of ["", "index.js", "config.js", "api/hosts"]) {
    assert.equal((await call(`${url}${base}${path}`, { token: users.bob })).status, 404, path);
    assert.equal((await call(`${url}${base}${path}`, { token: null })).status, 401, path);
  }
  const others = await newSession(url, {}, users.bob);
  const page = await visit.context.newPage();
  const response = await page.goto(`${url}/moonlight/s/${others.id}/`);
  assert.equal(response?.status(), 404);
  await visit.whole();
  await page.close();
  visit.problems.length = 0;
}

async function assertSecretsApart({ system, visit, page, base, dialect }: Scene): Promise<void> {
  // The page reads it as a stream, of which the browser may keep nothing for us.
  await page.evaluate(`fetch(${JSON.stringify(`${base}api/hosts`)}).then((response) => response.text())`);
  const { host, users } = system;
  const secret = dialect === "fork" ? CREDENTIALS : UPSTREAM_CREDENTIALS;
  const all = await visit.everything();
  assert.ok(all.includes(dialect === "fork" ? "AuthenticateAndInit" : "StartStream"), "frames were seen");
  assert.ok(all.includes("mlSettings"), "storage was seen");
  assert.ok(!all.includes(secret), "the browser has Moonlight's secret");
  const { requests } = (await host.view()).moonlight;
  const calls = requests.filter(({ url }) => url.startsWith("/api/"));
  assert.ok(calls.length > 5);
  assert.ok(calls.every(({ authorization }) => authorization === `Bearer ${secret}`));
  assert.ok(requests.every(({ cookie }) => cookie === undefined));
  assert.ok(!JSON.stringify(requests).includes(users.alice));
}

/** The streamer ends by the control plane's Close, and with it the media. */
async function revoke({ t, system }: Scene, stream: Page): Promise<void> {
  const { url, host } = system;
  assert.equal((await host.view()).video.openPeers, 1);
  // In the page: when its video last grew, and when its WebSocket had closed.
  await stream.evaluate(`void (globalThis.growth = (async () => {
    const [peer] = globalThis.peers;
    const bytes = async () => {
      const report = [...(await peer.getStats()).values()];
      return report.find(({ type, kind }) => type === "inbound-rtp" && kind === "video")?.bytesReceived ?? 0;
    };
    let [last, at] = [await bytes(), performance.now()];
    while (performance.now() - at < ${SILENCE_MS}) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      const now = await bytes();
      if (now > last) [last, at] = [now, performance.now()];
    }
    return performance.timeOrigin + at;
  })())`);
  const revokedAt = performance.timeOrigin + performance.now();
  assert.equal((await api(url, "DELETE", "/api/v1/tokens/alice")).status, 204);
  await host.until("the streamer has ended", ({ video }) => video.openPeers === 0, MEDIA_END_TIMEOUT_MS);
  const endedAt = performance.timeOrigin + performance.now();
  const { moonlight } = await host.view();
  assert.deepEqual(moonlight.closes, [{ code: 1001, isMasked: true }]);
  const lastByteAt = await stream.evaluate<number>("globalThis.growth");
  await stream.locator("#stages", { hasText: "WebSocket: close" }).waitFor();
  const after = (time: number): number => Math.round(time - revokedAt);
  t.diagnostic(
    `after the revocation: the last byte of video ${after(lastByteAt)} ms, the streamer's end ${after(endedAt)} ms`,
  );
  assert.ok(after(lastByteAt) < MEDIA_END_TIMEOUT_MS);
}
