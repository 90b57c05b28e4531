/** compose/compose.yaml for real: everything goes through the control plane's one public port. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import type { Duplex } from "node:stream";
import type http from "node:http";
import Docker from "dockerode";
import { createHttpAgent, createRemoteDial } from "../../src/index.ts";
import { DEMO_COLOUR, solidPng } from "../../src/demo/png.ts";
import { look } from "../e2e/pictures.ts";
import type { Screen } from "../e2e/pictures.ts";
import { within } from "../support/events.ts";
import { open } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { engineCannot } from "./engine.ts";
import { Stack } from "./stack.ts";

const START_TIMEOUT_MS = 30_000;
/** On the sandboxes' bridge, inside Wolf's container. */
const RELAY = "172.20.0.1:7443";

describe("two Docker levels", { skip: engineCannot() }, () => {
  let stack: Stack;

  before(async () => {
    stack = await Stack.start({ env: { RELAY_LISTEN: RELAY } });
    // As images of an operator's own: by discovery without an agent, and by the relay with one that has no other route.
    await stack.deriveSandbox("sandbox-discovered", "ENV TURNABOUT_AGENT=off");
    await stack.deriveSandbox("sandbox-relayed", `ENV TURNABOUT_SERVER=http://${RELAY}`);
  });

  after(async () => {
    await stack[Symbol.asyncDispose]();
    await assertNothingOpen();
  });

  it("lists Wolf's apps", async () => {
    const { status, body } = await stack.call("/api/v1/wolf/apps?wolf_instance_id=local");
    assert.equal(status, 200);
    const { apps } = JSON.parse(body) as { apps: { title: string }[] };
    assert.deepEqual(
      apps.map(({ title }) => title),
      ["Wolf UI", "Sway Desktop"],
    );
  });

  it("streams Wolf's events, and creates and stops a lobby meanwhile", async () => {
    const response = await open(`${stack.url}/api/v1/wolf/events?wolf_instance_id=local`, {
      token: stack.adminToken,
    });
    try {
      assert.equal(response.headers["content-type"], "text/event-stream");
      const events = eventsOf(response);
      const { status, body } = await stack.call("/api/v1/wolf/lobbies/create?wolf_instance_id=local", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(lobby("by-hand", { base_create_json: "{}" })),
      });
      assert.equal(status, 200, body);
      const { lobby_id } = JSON.parse(body) as { lobby_id: string };
      await within(nextEvent(events, "CreateLobbyEvent", lobby_id), "the lobby's event", START_TIMEOUT_MS);
      await stack.until("its container runs", async () =>
        (await stack.sandboxes()).includes(`by-hand_${lobby_id}`),
      );
      await stack.call("/api/v1/wolf/lobbies/stop?wolf_instance_id=local", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ lobby_id }),
      });
      await within(nextEvent(events, "StopLobbyEvent", lobby_id), "the lobby's end", START_TIMEOUT_MS);
      await stack.until("its container is gone", async () => (await stack.sandboxes()).length === 0);
    } finally {
      response.destroy();
    }
  });

  it("runs a program by Docker's exec over the tunnel", async () => {
    const dial = createRemoteDial({ server: stack.url, token: stack.adminToken });
    const agent = createHttpAgent(dial, "wolf-local", "docker");
    const options: Docker.DockerOptions & { agent: http.Agent } = { protocol: "http", host: "docker", agent };
    const docker = new Docker(options);
    const { id } = await stack.createSession();
    try {
      const [container] = await stack.untilValue("the sandbox's container", async () => {
        const found = await docker.listContainers();
        return found.length === 1 ? found : undefined;
      });
      const exec = await docker.getContainer(container?.Id ?? "").exec({
        Cmd: ["sh", "-c", "cat; echo on standard error >&2; exit 7"],
        AttachStdin: true,
        AttachStdout: true,
        AttachStderr: true,
      });
      const stream = await exec.start({ hijack: true, stdin: true });
      const [out, error] = demultiplexed(docker, stream);
      stream.end("through two levels");
      assert.equal(await within(out, "the end of standard output", START_TIMEOUT_MS), "through two levels");
      assert.equal(await error, "on standard error\n");
      assert.equal((await exec.inspect()).ExitCode, 7);
    } finally {
      agent.destroy();
      await stack.deleteSession(id);
    }
    await stack.until("its container is gone", async () => (await stack.sandboxes()).length === 0);
  });

  it("shows a nested sandbox, and shares its clipboard, by the sandbox's own agent", async () => {
    const session = await stack.createSession();
    const way = await stack.wayTo(session.id, ({ discovered }) => !discovered);
    // Wolf's agent has announced it as well, and its own comes first.
    assert.deepEqual([way.state, way.discovered], ["connected", false]);
    await assertSandbox(session.id);
  });

  it("shows a nested sandbox, and shares its clipboard, by discovery", async () => {
    const session = await stack.createSession({ image: "sandbox-discovered" });
    const way = await stack.wayTo(session.id, ({ discovered }) => discovered);
    const [wolf] = await stack
      .runnersUntil((runners) => runners.some(({ id }) => id === "wolf-local"), "Wolf's agent")
      .then((runners) => runners.filter(({ id }) => id === "wolf-local"));
    // Its connections are those of Wolf's agent, and there is none of its own.
    assert.deepEqual(
      way.connections.map(({ id }) => id).toSorted(),
      wolf?.connections.map(({ id }) => id).toSorted(),
    );
    await assertSandbox(session.id);
  });

  it("shows a nested sandbox, and shares its clipboard, by the relay", async () => {
    // From here on nothing inside has a route to the control plane, and discovery does not apply.
    const rule = ["-s", "172.20.0.0/16", "-d", "172.19.0.0/16", "-j", "DROP"];
    assert.equal((await stack.inWolf("iptables", "-I", "DOCKER-USER", ...rule)).code, 0);
    try {
      const session = await stack.createSession({ image: "sandbox-relayed" });
      const way = await stack.wayTo(session.id, ({ discovered }) => !discovered);
      const log = await stack.logs("wolf");
      assert.ok(
        log.split("\n").some((line) => line.includes("connection forwarded") && line.includes(way.id)),
        "the relay has not passed it on",
      );
      const [name = ""] = await stack.sandboxes();
      const direct = `fetch("http://172.19.0.20:8080/healthz", { signal: AbortSignal.timeout(2000) })`;
      const tried = await stack.inWolf("docker", "exec", name, "node", "-e", direct);
      assert.notEqual(tried.code, 0, "it has a route of its own");
      await assertSandbox(session.id);
    } finally {
      await stack.inWolf("iptables", "-D", "DOCKER-USER", ...rule);
    }
  });

  it("keeps the session's token out of the environment of programs on the desktop", async () => {
    const session = await stack.createSession();
    await stack.wayTo(session.id, ({ discovered }) => !discovered);
    const [name = ""] = await stack.sandboxes();
    const look =
      "for p in /proc/[0-9]*; do [ $p = /proc/$$ ] || grep -lz ^USER_API_TOKEN= $p/environ; done 2>/dev/null";
    // Without what the shell itself has been given by the engine.
    const script = `${look}; id -u; stat -c %a /run/turnabout/*`;
    const without = ["env", "-u", "USER_API_TOKEN"];
    const { stdout, code } = await stack.inWolf("docker", "exec", name, ...without, "sh", "-c", script);
    assert.deepEqual([code, stdout], [0, "1000\n600\n"]);
    await assertEnd(session.id);
  });

  it("comes back in any order", async () => {
    await stack.compose("stop", "control-plane");
    await stack.compose("restart", "--timeout", "60", "wolf");
    await stack.compose("start", "control-plane");
    await stack.whenConnected("wolf-local", "moonlight-local");
    await stack.whenHealthy("wolf");
    const session = await stack.createSession();
    await stack.wayTo(session.id, () => true);
    await assertSandbox(session.id);
  });

  it("ends in order, within its time, and leaves nothing behind", async () => {
    const session = await stack.createSession();
    await stack.wayTo(session.id, () => true);
    await stack.compose("stop");
    for (const service of ["wolf", "control-plane"] as const) {
      const { State: state } = await stack.engine.docker.getContainer(stack.container(service)).inspect();
      assert.deepEqual([service, state.Status, state.ExitCode], [service, "exited", 0]);
    }
    const log = await stack.logs("wolf");
    const order = ["draining", `sandbox-${session.id}_.* has been removed`, "Processing signal 'terminated'"];
    const places = order.map((text) => log.split("\n").findLastIndex((line) => new RegExp(text).test(line)));
    assert.deepEqual(
      places,
      places.toSorted((one, other) => one - other),
      log,
    );
    assert.ok(!places.includes(-1), log);
    await stack.compose("down", "--volumes");
    const { docker } = stack.engine;
    assert.deepEqual(await docker.listContainers({ all: true }), []);
    assert.deepEqual((await docker.listVolumes()).Volumes, []);
    const networks = (await docker.listNetworks()).map(({ Name: name }) => name);
    assert.deepEqual(networks.toSorted(), ["bridge", "host", "none"]);
  });

  /** And ends the session. */
  async function assertSandbox(session: string): Promise<void> {
    const at = `/api/v1/external-agents/${session}`;
    await assertDesktop(at);
    await assertClipboard(at);
    await assertEnd(session);
    assert.equal((await stack.call(`${at}/screenshot`)).status, 404);
  }

  async function assertEnd(session: string): Promise<void> {
    await stack.deleteSession(session);
    await stack.until("its container is gone", async () => (await stack.sandboxes()).length === 0);
  }

  /** A real Sway's background, to the pixel. */
  async function assertDesktop(at: string): Promise<void> {
    const screen = await stack.untilValue("a screenshot", async (): Promise<Screen | undefined> => {
      const response = await open(`${stack.url}${at}/screenshot?format=png`, { token: stack.adminToken });
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      if (response.statusCode !== 200) return undefined;
      assert.equal(response.headers["content-type"], "image/png");
      const seen = await look(Buffer.concat(chunks));
      // Sway is there before its background.
      return seen.leftHalf(DEMO_COLOUR) === 1 ? seen : undefined;
    });
    assert.deepEqual([screen.width, screen.height], [1_280, 720]);
    assert.deepEqual(screen.at(0.9, 0.9), DEMO_COLOUR);
  }

  async function assertClipboard(at: string): Promise<void> {
    const picture = solidPng(64, 48, { red: 1, green: 2, blue: 3 }).toString("base64");
    for (const content of [
      { type: "text", data: "von außen: ä€😀" },
      { type: "image", data: picture },
    ]) {
      const { status, body } = await stack.call(`${at}/clipboard`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(content),
      });
      assert.equal(status, 200, body);
      const got = await stack.call(`${at}/clipboard`);
      assert.deepEqual(JSON.parse(got.body), content);
    }
  }
});

/** As Helix asks Wolf for one. */
function lobby(name: string, runner: Readonly<Record<string, unknown>>): object {
  return {
    profile_id: "helix-sessions",
    name,
    multi_user: true,
    stop_when_everyone_leaves: false,
    video_settings: { width: 1_280, height: 720, refresh_rate: 60, wayland_render_node: "" },
    audio_settings: { channel_count: 2 },
    runner_state_folder: name,
    runner: {
      type: "docker",
      name,
      image: "turnabout-sandbox",
      mounts: [],
      env: [],
      devices: [],
      ports: [],
      ...runner,
    },
  };
}

async function* eventsOf(response: IncomingMessage): AsyncGenerator<string> {
  let text = "";
  response.setEncoding("utf8");
  for await (const chunk of response) {
    text += chunk as string;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 2);
    }
  }
}

async function nextEvent(events: AsyncGenerator<string>, name: string, lobbyId: string): Promise<string> {
  for (;;) {
    const { value, done } = await events.next();
    if (done === true) throw new Error(`the stream of events ended before ${name}`);
    if (value.includes(name) && value.includes(lobbyId)) return value;
  }
}

function demultiplexed(docker: Docker, stream: Duplex): [Promise<string>, Promise<string>] {
  const sides = [new PassThrough(), new PassThrough()] as const;
  docker.modem.demuxStream(stream, ...sides);
  stream.once("end", () => {
    for (const side of sides) side.end();
  });
  const [out, error] = sides.map((side) => textOf(side));
  return [out ?? Promise.reject(new Error("none")), error ?? Promise.reject(new Error("none"))];
}

async function textOf(stream: PassThrough): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}
