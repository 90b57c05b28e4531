/** A runner that one agent serves itself and others have discovered: which upstream is used, and who may offer one. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { ControlPlaneOptions } from "../../../src/control/control-plane.ts";
import type { RegistryEvent, RunnerView } from "../../../src/control/registry/registry.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { followAgent, keptLog } from "../../support/agents.ts";
import type { FollowedAgent, KeptLine } from "../../support/agents.ts";
import { DockerEngine } from "../../support/docker-engine.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, eventually, next } from "../../support/events.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

const SANDBOX = "sandbox-1";
const HOSTS: TokenRecord = {
  id: "hosts",
  kind: "runner",
  sha256: hashToken("hosts"),
  runners: ["host-*", "sandbox-*"],
};
const OTHER_HOSTS: TokenRecord = { ...HOSTS, id: "other-hosts", sha256: hashToken("other-hosts") };
const OWN: TokenRecord = { id: "own", kind: "runner", sha256: hashToken("own"), runners: [SANDBOX] };
const THIEF: TokenRecord = { ...OWN, id: "thief", sha256: hashToken("thief") };
const NARROW: TokenRecord = {
  id: "narrow",
  kind: "runner",
  sha256: hashToken("narrow"),
  runners: ["host-*"],
};

interface Stand extends AsyncDisposable {
  system: System;
  events: EventLog<RegistryEvent>;
  lines: EventLog<KeptLine>;
  /** Names itself to whoever connects, then sends back what it gets. */
  target(name: string): Promise<TestTarget>;
  /** An agent of a host whose engine runs the sandbox. */
  host(
    name: string,
    target: TestTarget,
    token?: string,
  ): Promise<{ agent: FollowedAgent; engine: DockerEngine; lines: EventLog<KeptLine> }>;
  /** The sandbox's own agent. */
  own(target: TestTarget, token?: string): FollowedAgent;
}

async function start(controlPlane: ControlPlaneOptions = {}): Promise<Stand> {
  await using stack = new AsyncDisposableStack();
  const events = new EventLog<RegistryEvent>();
  const { log, lines } = keptLog();
  const system = stack.use(
    await startSystem({
      agents: 0,
      controlPlane: {
        tokens: [HOSTS, OTHER_HOSTS, OWN, THIEF, NARROW],
        onEvent: events.push,
        log,
        ...controlPlane,
      },
    }),
  );
  const moved = stack.move();
  const common = { server: system.url, standbyDelayMs: 100 };
  return {
    system,
    events,
    lines,
    target: async (name) =>
      moved.use(
        await startTarget((socket) => {
          socket.write(name);
          socket.pipe(socket);
        }),
      ),
    host: async (name, target, token = "hosts") => {
      const engine = moved.use(await new DockerEngine().listen());
      const port = target.address.split(":")[1] ?? "";
      engine.run({ id: "c1", labels: { "turnabout.runner": SANDBOX, "turnabout.target.api": port } });
      const kept = keptLog();
      const agent = moved.use(
        followAgent({
          ...common,
          runners: [{ id: name, targets: [] }],
          token: { value: token },
          docker: engine.url,
          discoverHostNetwork: true,
          log: kept.log,
        }),
      );
      await agent.connected();
      return { agent, engine, lines: kept.lines };
    },
    own: (target, token = "own") =>
      moved.use(
        followAgent({ ...common, runners: { [SANDBOX]: { api: target.address } }, token: { value: token } }),
      ),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

function view({ system }: Stand): RunnerView | undefined {
  return system.controlPlane.runners().find(({ id }) => id === SANDBOX);
}

async function untilDiscovered(stand: Stand, discovered: boolean, behind: number): Promise<void> {
  const isSo = (): boolean => {
    const now = view(stand);
    return (
      now?.state === "connected" && now.discovered === discovered && now.fallbackConnections.length === behind
    );
  };
  await eventually(isSo, `${discovered ? "discovered" : "its own"}, with ${behind} behind`);
}

async function whoResponds({ system }: Stand): Promise<string> {
  const socket = await system.controlPlane.dial(SANDBOX, "api");
  const [chunk] = await next<[Buffer]>(socket, "data");
  socket.destroy();
  return chunk.toString();
}

describe("a discovered runner with an agent of its own", () => {
  it("is reached through its own agent as soon as that connects; open streams through the other one finish", async () => {
    await using stand = await start();
    await stand.host("host-1", await stand.target("discovered"));
    await untilDiscovered(stand, true, 0);
    const open = await stand.system.controlPlane.dial(SANDBOX, "api");
    assert.equal(String((await next<[Buffer]>(open, "data"))[0]), "discovered");

    stand.own(await stand.target("own"));
    await untilDiscovered(stand, false, 1);
    assert.equal(await whoResponds(stand), "own");
    const rest = ending(open);
    open.end("final bytes");
    const { kind, data } = await rest;
    assert.deepEqual([kind, data.toString()], ["end", "final bytes"]);
    assert.ok(stand.events.all.every(({ type }) => type === "connected" || type === "rerouted"));
  });

  it("is reached through the other agent at once when its own is lost, and through its own when that is back", async () => {
    await using stand = await start();
    await stand.host("host-1", await stand.target("discovered"));
    const own = stand.own(await stand.target("own"));
    await untilDiscovered(stand, false, 1);
    for (const connection of view(stand)?.connections ?? []) connection.destroy("test");
    assert.equal(await whoResponds(stand), "discovered", "without a wait");
    await own.lost();
    await untilDiscovered(stand, false, 1);
    assert.equal(await whoResponds(stand), "own");
    const routes = stand.events.all.flatMap((event) => (event.type === "rerouted" ? [event.discovered] : []));
    assert.deepEqual(routes.slice(-2), [true, false]);
    assert.ok(!stand.events.all.some(({ type }) => type === "lost"));
  });

  it("stays reached while its own agent drains", async () => {
    await using stand = await start();
    await stand.host("host-1", await stand.target("discovered"));
    const own = stand.own(await stand.target("own"));
    await untilDiscovered(stand, false, 1);
    const open = await stand.system.controlPlane.dial(SANDBOX, "api");
    await next(open, "data");
    const closed = own.agent.close();
    await untilDiscovered(stand, true, 1);
    assert.equal(await whoResponds(stand), "discovered");
    open.destroy();
    await closed;
    await untilDiscovered(stand, true, 0);
  });

  it("keeps its own agent's place for it: another credential does not get it", async () => {
    await using stand = await start();
    await stand.host("host-1", await stand.target("discovered"));
    const own = stand.own(await stand.target("own"));
    await untilDiscovered(stand, false, 1);
    await own.agent.close();
    await untilDiscovered(stand, true, 0);
    const thief = stand.own(await stand.target("thief"), "thief");
    assert.match((await thief.failed()).error.message, /refused \(409\)/);
    assert.equal(await whoResponds(stand), "discovered");
  });

  it("frees that place after the grace, although it is connected", async () => {
    await using stand = await start({ graceMs: 200 });
    await stand.host("host-1", await stand.target("discovered"));
    const own = stand.own(await stand.target("own"));
    await untilDiscovered(stand, false, 1);
    await own.agent.close();
    await untilDiscovered(stand, true, 0);
    const heir = stand.own(await stand.target("heir"), "thief");
    await heir.failed().catch(() => {}); // it may come too early
    await untilDiscovered(stand, false, 1);
    assert.equal(await whoResponds(stand), "heir");
  });

  it("is not held by those who have discovered it, whatever their credential", async () => {
    await using stand = await start();
    await stand.host("host-1", await stand.target("discovered"));
    await untilDiscovered(stand, true, 0);
    await stand.own(await stand.target("own"), "thief").connected();
    await untilDiscovered(stand, false, 1);
    assert.equal(await whoResponds(stand), "own");
  });

  it("disappears when its own agent is lost and its container has stopped", async () => {
    await using stand = await start({ graceMs: 300 });
    const { engine } = await stand.host("host-1", await stand.target("discovered"));
    const own = stand.own(await stand.target("own"));
    await untilDiscovered(stand, false, 1);
    engine.remove("c1");
    await untilDiscovered(stand, false, 0);
    assert.equal(await whoResponds(stand), "own");
    await own.agent.close();
    await stand.events.find(({ type }) => type === "lost", "the loss");
    assert.equal(view(stand)?.state, "reconnecting");
    await eventually(() => view(stand)?.state === "gone", "the end of the grace");
  });
});

describe("a runner that several agents have discovered", () => {
  it("is reached by the first, then by the second", async () => {
    await using stand = await start();
    const first = await stand.host("host-1", await stand.target("first"));
    await untilDiscovered(stand, true, 0);
    await stand.host("host-2", await stand.target("second"), "other-hosts");
    await untilDiscovered(stand, true, 1);
    assert.equal(await whoResponds(stand), "first");
    first.engine.remove("c1");
    await untilDiscovered(stand, true, 0);
    assert.equal(await whoResponds(stand), "second");
  });

  it("is reached by the newer process of one credential: the older may be dead", async () => {
    await using stand = await start();
    await stand.host("host-1", await stand.target("old"));
    await untilDiscovered(stand, true, 0);
    await stand.host("host-1b", await stand.target("new"));
    await untilDiscovered(stand, true, 1);
    assert.equal(await whoResponds(stand), "new");
  });
});

describe("a discovered runner without an agent of its own", () => {
  it("is awaited when its discoverer is lost, and disappears at once when its container stops", async () => {
    await using stand = await start();
    const { engine } = await stand.host("host-1", await stand.target("discovered"));
    await untilDiscovered(stand, true, 0);
    for (const connection of view(stand)?.connections ?? []) connection.destroy("test");
    await eventually(() => view(stand)?.state === "reconnecting", "the loss");
    assert.equal(await whoResponds(stand), "discovered", "in the grace");
    engine.remove("c1");
    await eventually(() => view(stand)?.state === "gone", "the withdrawal");
  });

  it("has the upstream that is used in the API", async () => {
    await using stand = await start();
    await stand.host("host-1", await stand.target("discovered"));
    await untilDiscovered(stand, true, 0);
    stand.own(await stand.target("own"));
    await untilDiscovered(stand, false, 1);
    const response = await call(`${stand.system.url}/api/v1/runners/${SANDBOX}`);
    const view = JSON.parse(response.body) as {
      discovered: boolean;
      connections: unknown[];
      behind: unknown[];
    };
    assert.deepEqual([view.discovered, view.connections.length, view.behind.length], [false, 1, 1]);
  });
});

describe("an agent whose credential does not cover what it has discovered", () => {
  it("keeps its connection; both sides log the refusal once", async () => {
    await using stand = await start();
    const { agent, lines, engine } = await stand.host("host-1", await stand.target("discovered"), "narrow");
    const refused = await lines.find(
      ({ message }) => message === "the control plane refused a runner",
      "the warning",
    );
    assert.deepEqual([refused.fields["runner"], refused.fields["code"]], [SANDBOX, "not_allowed"]);
    const warned = stand.lines.all.filter(({ message }) => message === "runner refused");
    assert.deepEqual([warned.length, warned[0]?.fields["runner"]], [1, SANDBOX]);
    assert.match(String(warned[0]?.fields["reason"]), /narrow may not register this runner/);
    assert.equal(view(stand), undefined);
    const host = (): string | undefined => stand.system.controlPlane.runners()[0]?.state;
    assert.deepEqual([host(), agent.agent.connections], ["connected", 1]);

    engine.run({ id: "c2", labels: { "turnabout.runner": "sandbox-2", "turnabout.target.x": "1" } });
    await lines.find(
      ({ fields }) => fields["runner"] === "sandbox-2" && fields["code"] === "not_allowed",
      "the next",
    );
    assert.equal(host(), "connected");
    assert.equal(agent.events.length, 1, "one connection all the time");
  });

  it("is heard when the credential is widened, and loses only that when it is narrowed again", async () => {
    await using stand = await start();
    const { agent, lines } = await stand.host("host-1", await stand.target("discovered"), "narrow");
    await lines.find(({ message }) => message === "the control plane refused a runner", "the warning");
    const others = [HOSTS, OTHER_HOSTS, OWN, THIEF];
    stand.system.controlPlane.setTokens([...others, { ...NARROW, runners: ["host-*", "sandbox-*"] }]);
    await untilDiscovered(stand, true, 0);
    assert.equal(await whoResponds(stand), "discovered");
    stand.system.controlPlane.setTokens([...others, NARROW]);
    assert.equal(view(stand)?.state, "gone");
    assert.equal(agent.agent.connections, 1);
    stand.system.controlPlane.setTokens(others);
    await agent.lost();
  });
});

describe("a control plane that starts anew", () => {
  it("awaits what was discovered, and reserves it for no agent", async () => {
    const directory = tempPath("-data");
    {
      await using stand = await start({ dataDirectory: directory });
      await stand.host("host-1", await stand.target("discovered"));
      await untilDiscovered(stand, true, 0);
    }
    {
      await using stand = await start({ dataDirectory: directory });
      assert.equal(view(stand)?.state, "reconnecting");
      stand.own(await stand.target("own"));
      await untilDiscovered(stand, false, 0);
    }
    {
      await using stand = await start({ dataDirectory: directory });
      const thief = stand.own(await stand.target("thief"), "thief");
      assert.match((await thief.failed()).error.message, /refused \(409\)/, "this one is its own agent's");
      await stand.host("host-1", await stand.target("discovered"));
      await untilDiscovered(stand, true, 0);
    }
  });
});
