/** A real browser watches a session: signalling through the control plane, video straight from Moonlight Web. */
import assert from "node:assert/strict";
import type { BrowserContext, Page } from "playwright-core";
import { EventLog } from "../support/event-log.ts";
import { call } from "../support/http.ts";
import { moonlightInit } from "../support/moonlight-init.ts";
import { COLOUR } from "./host/sandbox.ts";
import { isNear } from "./pictures.ts";
import type { Rgb } from "./pictures.ts";
import { bytesMovedBy, socketsOf } from "./processes.ts";
import { SIZE, until } from "./steps.ts";
import type { TestSession } from "./steps.ts";
import { CREDENTIALS, INSTANCE } from "./system.ts";
import type { E2eSystem } from "./system.ts";

/** What `viewer.measure()` of the page gives. */
interface Measured {
  protocol?: string;
  remote?: { address: string; port: number };
  codec?: string;
  bytesReceived: number;
  framesDecoded: number;
  currentTime: number;
  width: number;
  height: number;
}

interface Closed {
  code: number;
  reason: string;
  wasClean: boolean;
}

/** Video that has to arrive while the control plane's own traffic is measured. */
const WATCHED_BYTES = 1_000_000;
/** PINGs and log lines in that time; less than the first frame of the video. */
const MOST_MOVED_BYTES = 40_000;
/** VP8 has fewer colours than the screen. */
const VIDEO_TOLERANCE = 12;

export interface Viewer {
  readonly page: Page;
  /** All that the browser has sent or received by HTTP and WebSocket. */
  readonly seen: EventLog<string>;
}

/** A page of this origin, as a user who has logged in: with the cookie of Helix's frontend. */
export async function openPage(
  context: BrowserContext,
  origin: string,
  { url }: E2eSystem,
  token: string,
): Promise<Viewer> {
  const { hostname } = new URL(url);
  await context.addCookies([{ name: "access_token", value: token, domain: hostname, path: "/" }]);
  const page = await context.newPage();
  const seen = new EventLog<string>();
  page.on("websocket", (socket) => {
    seen.push(socket.url());
    socket.on("framesent", ({ payload }) => seen.push(String(payload)));
    socket.on("framereceived", ({ payload }) => seen.push(String(payload)));
  });
  page.on("response", (response) => {
    seen.push(`${response.url()} ${JSON.stringify(response.headers())}`);
    response.text().then(seen.push, () => {}); // a redirect or an upgrade has none
  });
  page.on("pageerror", (error) => seen.push(`error: ${error.message}`));
  await page.goto(`${origin}/`);
  return { page, seen };
}

export async function watch(viewer: Viewer, system: E2eSystem, session: TestSession): Promise<void> {
  const { page } = viewer;
  assert.equal(await openStream(viewer, system, session), "open");
  await page.waitForFunction('viewer.words.includes("ConnectionComplete")', undefined, { timeout: 15_000 });
  await page.waitForFunction('document.querySelector("video").videoWidth > 0', undefined, {
    timeout: 20_000,
  });
  await until("the video shows the desktop", async () =>
    isNear(await page.evaluate<Rgb>("viewer.pixel(0.25, 0.5)"), COLOUR, VIDEO_TOLERANCE),
  );
  const { width, height, codec } = await measure(page);
  assert.deepEqual({ width, height }, SIZE);
  assert.equal(codec, "video/VP8");
}

/** Media goes over UDP between the browser and Wolf's side, and none through the control plane or its agent. */
export async function assertDirectMedia({ page }: Viewer, system: E2eSystem): Promise<string> {
  const { serve, agent, host } = system;
  const pids = [serve.pid, agent.pid];
  const moved = async (): Promise<number[]> => Promise.all(pids.map(bytesMovedBy));
  await assertCounted(system, moved);
  const [before, movedBefore] = [await measure(page), await moved()];
  const enough = before.bytesReceived + WATCHED_BYTES;
  await until("media comes", async () => (await measure(page)).bytesReceived >= enough, 30_000);
  const [after, movedAfter] = [await measure(page), await moved()];
  assert.ok(after.framesDecoded > before.framesDecoded, "frames are decoded");
  assert.ok(after.currentTime > before.currentTime, "the video plays");
  const grown = movedAfter.map((bytes, index) => bytes - (movedBefore[index] ?? 0));
  for (const [index, name] of ["control plane", "agent"].entries()) {
    const bytes = grown[index] ?? Infinity;
    assert.ok(bytes < MOST_MOVED_BYTES, `the ${name} moved ${bytes} bytes while media came`);
  }

  assert.equal(after.protocol, "udp");
  const ports = (await socketsOf(host.pid))
    .filter(({ kind }) => kind === "udp")
    .map(({ local }) => local.slice(local.lastIndexOf(":") + 1));
  assert.ok(ports.includes(String(after.remote?.port)), `${after.remote?.port} is a port of Wolf's side`);
  for (const pid of pids) {
    assert.deepEqual(
      (await socketsOf(pid)).filter(({ kind }) => kind === "udp"),
      [],
    );
  }
  const media = after.bytesReceived - before.bytesReceived;
  return `${media} bytes of media; control plane ${grown[0]}, agent ${grown[1]} bytes of anything`;
}

/** Their counters show what does pass through them: a response of Wolf is read and written by both. */
async function assertCounted({ url }: E2eSystem, moved: () => Promise<number[]>): Promise<void> {
  const before = await moved();
  let bytes = 0;
  while (bytes < MOST_MOVED_BYTES) {
    const { body } = await call(`${url}/api/v1/wolf/openapi-schema?wolf_instance_id=${INSTANCE}`);
    bytes += body.length;
  }
  const after = await moved();
  for (const [index, sum] of after.entries()) {
    assert.ok(sum - (before[index] ?? 0) >= 2 * bytes, `counter ${index} has seen ${bytes} bytes pass`);
  }
}

/** Neither side receives the secret of the other. */
export async function assertSecretsApart(
  { page, seen }: Viewer,
  { host, users }: E2eSystem,
  { view }: TestSession,
): Promise<void> {
  assert.ok(seen.length > 10);
  const all = `${seen.all.join("\n")}\n${await page.content()}`;
  assert.ok(all.includes("AuthenticateAndInit"), "the browser's frames were seen");
  assert.ok(!all.includes(CREDENTIALS), "the browser has seen Moonlight's credentials");
  const { moonlight } = await host.view();
  assert.deepEqual(moonlight.streams, [`agent-${view.id}`]);
  const [handshake] = moonlight.requests.filter(({ url }) => url.startsWith("/api/host/stream"));
  assert.ok(handshake !== undefined);
  assert.doesNotMatch(JSON.stringify(handshake), new RegExp(users.alice));
  assert.equal(moonlight.controlFrames, 0, "no ping or pong reached Moonlight Web: it dies of them");
}

/** A page of another origin sends the same cookie, and is refused. */
export async function refuseOrigin(viewer: Viewer, system: E2eSystem, session: TestSession): Promise<void> {
  assert.equal(await openStream(viewer, system, session), "closed");
  assert.deepEqual(await viewer.page.evaluate("viewer.words"), []);
}

/** What the page gets when its session ends. */
export async function assertClosedProperly({ page }: Viewer): Promise<void> {
  await page.waitForFunction("viewer.closed !== undefined", undefined, { timeout: 10_000 });
  const closed = await page.evaluate<Closed>("viewer.closed");
  assert.deepEqual(closed, { code: 1001, reason: "the session has ended", wasClean: true });
}

async function openStream({ page }: Viewer, { url }: E2eSystem, { view }: TestSession): Promise<string> {
  const target = `${url.replace("http", "ws")}${view.links["stream"]}`;
  const init = { ...moonlightInit("", view.id), ...SIZE }; // the control plane has the credentials
  return page.evaluate(`viewer.open(${JSON.stringify(target)}, ${JSON.stringify(init)})`);
}

async function measure(page: Page): Promise<Measured> {
  return page.evaluate<Measured>("viewer.measure()");
}
