/** The steps of a session, checked from its user and from its desktop: the same on every network. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import sharp from "sharp";
import { within } from "../support/events.ts";
import { bodyOf, call, listRunners, open } from "../support/http.ts";
import { api } from "../support/api.ts";
import { newSession } from "../system/helix/sessions-stand.ts";
import type { SessionView } from "../system/helix/sessions-stand.ts";
import type { HostView } from "./host/calls.ts";
import { COLOUR } from "./host/sandbox.ts";
import type { SandboxView } from "./host/sandbox.ts";
import { look } from "./pictures.ts";
import type { Screen } from "./pictures.ts";
import { processesWith, socketsOf } from "./processes.ts";
import { INSTANCE, MOONLIGHT, WOLF } from "./system.ts";
import type { E2eSystem } from "./system.ts";

export const SIZE = { width: 1_280, height: 720 };

/** Far below the drain's time limit and every timeout of a half-closed connection. */
const IDLE_END_MS = 3_000;

export interface TestSession {
  view: SessionView;
  sandbox: SandboxView;
  /** From the lobby's runner: what its agent registers with. */
  sandboxToken: string;
}

/** The lobby is created through the tunnel, and the sandbox's agent connects. */
export async function createSession({ url, host, users }: E2eSystem): Promise<TestSession> {
  const created = await newSession(url, { name: "planning", ...SIZE }, users.alice);
  assert.equal(created.wolf_instance_id, INSTANCE);
  const { wolf, sandboxes } = await host.until(
    "its sandbox has started",
    (view) => view.sandboxes.length === 1,
  );
  const [lobby] = wolf.lobbies;
  assert.ok(lobby !== undefined);
  assert.equal(lobby.id, created.wolf_lobby_id);
  const environment = lobby.runner["env"] as string[];
  const variable = (name: string): string => {
    const entry = environment.find((item) => item.startsWith(`${name}=`));
    return entry?.slice(name.length + 1) ?? assert.fail(`no ${name} in the runner's environment`);
  };
  assert.equal(variable("HELIX_SESSION_ID"), created.id);
  assert.equal(variable("HELIX_API_URL"), url);
  const [sandbox] = sandboxes;
  assert.ok(sandbox !== undefined);
  await until(`${created.runner} is connected`, async () => {
    const { body } = await api(url, "GET", created.links["self"] ?? "", { token: users.alice });
    return (body as SessionView).runner_state === "connected";
  });
  return { view: created, sandbox, sandboxToken: variable("USER_API_TOKEN") };
}

/** The agent starts before the server, and the server before the desktop: at each stage the caller gets a distinct error. */
export async function bringUp({ url, host, users }: E2eSystem, { view }: TestSession): Promise<void> {
  const screenshot = (): ReturnType<typeof call> =>
    call(`${url}${view.links["screenshot"]}?format=png`, { token: users.alice });
  const early = await screenshot();
  assert.equal(early.status, 502);
  assert.match(early.body, /"code":"target_refused"/);
  assert.doesNotMatch(early.body, /127\.0\.0\.1|localhost|ECONNREFUSED/);

  await host.call("proceed", view.id, "server");
  await until("the server responds", async () => (await screenshot()).status !== 502);
  const dark = await screenshot();
  assert.equal(dark.status, 500);
  assert.match(dark.body, /Wayland/);

  await host.call("proceed", view.id, "desktop");
  let screen: Screen | undefined;
  await until("the desktop is drawn", async () => {
    screen = await takeScreenshot(url, view, users.alice);
    return screen !== undefined && screen.leftHalf(COLOUR) > 0.99 && screen.coloursRight() > 8;
  });
  assert.deepEqual({ width: screen?.width, height: screen?.height }, SIZE);
  assert.deepEqual(screen?.at(0.25, 0.5), COLOUR);
}

/** Undefined while there is none. */
async function takeScreenshot(url: string, view: SessionView, token: string): Promise<Screen | undefined> {
  const response = await open(`${url}${view.links["screenshot"]}?format=png`, { token });
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  if (response.statusCode !== 200) return undefined;
  assert.equal(response.headers["content-type"], "image/png");
  return look(Buffer.concat(chunks));
}

/** Only its owner and an admin have access. */
export async function refuseStrangers({ url, users }: E2eSystem, { view }: TestSession): Promise<void> {
  for (const name of ["screenshot", "clipboard"]) {
    const path = `${url}${view.links[name]}`;
    assert.equal((await call(path, { token: null })).status, 401, `${name} without a token`);
    const asBob = await call(path, { token: users.bob });
    assert.ok([403, 404].includes(asBob.status), `${name} as another user: ${asBob.status}`);
  }
}

/** Text, a picture and 5 MB, in both directions. */
export async function useClipboard({ url, host, users }: E2eSystem, { view }: TestSession): Promise<void> {
  const path = `${url}${view.links["clipboard"]}`;
  const post = async (type: string, data: string): Promise<void> => {
    const body = JSON.stringify({ type, data });
    const headers = { "content-type": "application/json" };
    const { status } = await call(path, { method: "POST", body, headers, token: users.alice });
    assert.equal(status, 200, `POST ${type}`);
  };
  const get = async (): Promise<{ type?: string; data?: string }> => {
    const response = await open(path, { token: users.alice });
    const body = await bodyOf(response);
    return body === "" ? {} : (JSON.parse(body) as object);
  };
  const paste = async (...options: string[]): Promise<Buffer> =>
    (await host.call("run", view.id, ["wl-paste", ...options])).stdout;
  const copy = async (type: string, stdin: Buffer): Promise<void> => {
    const command = ["wl-copy", "--type", type];
    const { code } = await host.call("run", view.id, command, { stdin, leavesProcess: true });
    assert.equal(code, 0);
  };

  const words = "Grüße aus dem Tunnel\n日本語 ✓";
  await post("text", words);
  assert.equal((await paste("-n")).toString("utf8"), words);
  assert.equal((await paste("-n", "--primary")).toString("utf8"), words);
  await copy("text/plain;charset=utf-8", Buffer.from(`zurück: ${words}`));
  assert.deepEqual(await get(), { type: "text", data: `zurück: ${words}` });

  const picture = await sharp({ create: { width: 64, height: 48, channels: 3, background: "#c03070" } })
    .png()
    .toBuffer();
  await post("image", picture.toString("base64"));
  assert.deepEqual(await paste("--type", "image/png"), picture);
  const other = await sharp(picture).negate().png().toBuffer();
  await copy("image/png", other);
  assert.deepEqual(await get(), { type: "image", data: other.toString("base64") });

  const large = randomBytes(2_500_000).toString("hex"); // 5 MB of text
  await post("text", large);
  assert.ok((await paste("-n")).equals(Buffer.from(large)), "5 MB came whole to the desktop");
  const copied = randomBytes(2_500_000).toString("hex");
  await copy("text/plain;charset=utf-8", Buffer.from(copied));
  assert.ok((await get()).data === copied, "5 MB came whole from the desktop");
}

/** Wolf's own API, by the instance's name. */
export async function manageApps({ url, host }: E2eSystem): Promise<void> {
  const wolf = (path: string): string => `/api/v1/wolf${path}?wolf_instance_id=${INSTANCE}`;
  const app = {
    id: "42424242",
    title: "Planning",
    support_hdr: false,
    start_virtual_compositor: true,
    runner: { type: "process", run_cmd: "true" },
  };
  const ids = async (): Promise<string[]> => {
    const { status, body } = await call(`${url}${wolf("/apps")}`);
    assert.equal(status, 200);
    return (JSON.parse(body) as { apps: { id: string }[] }).apps.map(({ id }) => id);
  };
  const before = await ids();
  assert.ok(before.length > 0);
  const headers = { "content-type": "application/json" };
  const post = (path: string, body: object): ReturnType<typeof call> =>
    call(`${url}${wolf(path)}`, { method: "POST", body: JSON.stringify(body), headers });
  const added = await post("/apps/add", app);
  assert.match(added.body, /"success":true/);
  assert.deepEqual(await ids(), [...before, app.id]);
  assert.deepEqual((await host.view()).wolf.apps, [...before, app.id]);
  await post("/apps/delete", { id: app.id });
  assert.deepEqual(await ids(), before);
}

/** The lobby, the sandbox, its token and all its streams have ended. */
export async function endSession(system: E2eSystem, session: TestSession): Promise<void> {
  const { url, host, users } = system;
  const { view, sandbox, sandboxToken } = session;
  const self = view.links["self"] ?? "";
  assert.ok([403, 404].includes((await api(url, "DELETE", self, { token: users.bob })).status));
  assert.equal((await api(url, "DELETE", self, { token: users.alice })).status, 204);
  assert.equal((await api(url, "GET", self, { token: users.alice })).status, 404);
  assert.equal((await call(`${url}${view.links["screenshot"]}`, { token: users.alice })).status, 404);
  assert.equal((await call(`${url}/api/v1/runners`, { token: sandboxToken })).status, 401);

  await host.until("the lobby and its sandbox are gone", isEmpty);
  await host.call("settled");
  const { stragglers } = await host.view();
  assert.deepEqual(stragglers, [], "its programs have ended by themselves");
  assert.deepEqual(await processesWith(sandbox.folder), []);
}

function isEmpty({ wolf, sandboxes }: HostView): boolean {
  return wolf.lobbies.length === 0 && sandboxes.length === 0;
}

/** Between sessions only the agent's two connections and the listeners are open. */
export async function assertIdle(system: E2eSystem): Promise<void> {
  const { url, host, serve, agent } = system;
  await until("no stream is open at the control plane", async () => {
    const { body } = await call(`${url}/metrics`);
    const open = /^turnabout_streams_open (\d+)$/m.exec(body)?.[1] ?? assert.fail(body);
    const runners = await listRunners(url);
    return open === "0" && runners.every(({ connections }) => connections.every((it) => it.streams === 0));
  });
  const authority = new URL(url).host;
  const tunnels = (await socketsOf(agent.pid)).filter(({ remote }) => remote === authority);
  assert.equal(tunnels.length, 2);
  await until("the agent holds its two connections and nothing else", async () => {
    const rest = (await socketsOf(agent.pid)).filter(({ kind, remote, local }) =>
      kind === "tcp" ? remote !== authority : local !== "" || remote !== undefined,
    );
    return rest.length === 0;
  });
  await until("the control plane holds its agent's connections and nothing else", async () => {
    const open = (await socketsOf(serve.pid)).filter(
      ({ kind, remote }) => kind === "udp" || (kind === "tcp" && remote !== undefined),
    );
    return open.length === 2;
  });
  const { wolf, moonlight, video } = await host.until(
    "Wolf's side is idle",
    (view) =>
      view.wolf.openConnections === 1 && view.moonlight.openConnections === 0 && view.video.openPeers === 0,
  );
  assert.equal(wolf.openConnections, 1, "the container runtime's own event stream");
  assert.deepEqual(moonlight.streams, []);
  assert.equal(moonlight.openWebSockets, 0);
  assert.equal(video.openPeers, 0);
  const udp = (await socketsOf(host.pid)).filter(({ kind }) => kind === "udp");
  assert.deepEqual(udp, []);
  const runners = await listRunners(url);
  assert.deepEqual(
    runners
      .filter(({ state }) => state === "connected")
      .map(({ id }) => id)
      .toSorted(),
    [MOONLIGHT, WOLF],
  );
  assert.deepEqual(await system.leftovers(), []);
}

/** In order, each by a signal, and at once: nothing is open for which a drain could wait. */
export async function shutDown({ agent, serve }: E2eSystem): Promise<void> {
  for (const [name, command] of Object.entries({ agent, serve })) {
    const ended = within(command.end(), `the end of ${name}`, IDLE_END_MS);
    assert.deepEqual(await ended, { code: 0, signal: null });
  }
}

/** Tries until it is true: each try waits for a real response. */
export async function until(what: string, isTrue: () => Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) assert.fail(`${what}: not within ${timeoutMs} ms`);
  }
}
