import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { turn } from "../../../test/support/events.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { CodedError } from "../../wire/errors.ts";
import { HelixError } from "../errors.ts";
import { silentLogger } from "../../wire/log.ts";
import { TokenIssuer } from "../../control/auth/issuer.ts";
import { TokenStore } from "../../control/auth/tokens.ts";
import { MAX_FIGURE_AGE_MS } from "../limits.ts";
import { ActiveStreams } from "../../control/auth/active-streams.ts";
import { Shares } from "../../control/extension.ts";
import type { ExtensionRunners } from "../../control/extension.ts";
import { Store } from "../../control/store/store.ts";
import { InstanceStore } from "../store/instances.ts";
import { HELIX_MIGRATIONS } from "../store/migrations.ts";
import { SessionStore } from "../store/sessions.ts";
import { IssuedTokenStore } from "../../control/store/tokens.ts";
import { Instances } from "../instances/instances.ts";
import type { Lobbies, Lobby, LobbyRequest } from "./lobbies.ts";
import { SandboxAccess } from "./sandbox-access.ts";
import { Sessions } from "./sessions.ts";
import type { SessionEvent } from "./session-event.ts";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "setInterval"] }));
afterEach(() => mock.timers.reset());

const SPEC = { width: 640, height: 480, refreshRate: 60 };

/** A Wolf in memory that does what a test says. */
class FakeWolf implements Lobbies {
  readonly lobbies: Lobby[] = [];
  readonly calls: string[] = [];
  create = async (request: LobbyRequest): Promise<string> => this.make(request);
  failure: Error | undefined;

  make({ sessionId, environment }: LobbyRequest): string {
    const id = `lobby-${this.lobbies.length}`;
    this.lobbies.push({ id, name: sessionId, madeBy: environment["TURNABOUT_STORE"] });
    return id;
  }
  async stop(id: string): Promise<void> {
    this.calls.push(`stop ${id}`);
    if (this.failure !== undefined) throw this.failure;
    const index = this.lobbies.findIndex((lobby) => lobby.id === id);
    if (index >= 0) this.lobbies.splice(index, 1);
  }
  async list(): Promise<Lobby[]> {
    this.calls.push("list");
    if (this.failure !== undefined) throw this.failure;
    return [...this.lobbies];
  }
}

function start() {
  const saved = new Store({ migrations: [HELIX_MIGRATIONS] });
  const wolf = new FakeWolf();
  const store = new SessionStore(saved);
  const tokens = new TokenStore(undefined);
  const issuer = new TokenIssuer(new IssuedTokenStore(saved), tokens);
  const online = new Set(["a"]);
  const away = new Set<string>();
  const runners: Pick<ExtensionRunners, "isReachable" | "state" | "view"> = {
    isReachable: (id) => online.has(id.slice(5)),
    state: (id) => (away.has(id.slice(5)) ? "reconnecting" : "gone"),
    view: () => undefined,
  };
  const instances = new Instances(new InstanceStore(saved), runners, silentLogger);
  instances.connected("a", 1);
  const events: SessionEvent[] = [];
  const kicked: string[] = [];
  const access = new SandboxAccess({
    tokens: issuer,
    activeStreams: new ActiveStreams(),
    runners: {
      kick: (runner) => (runner.startsWith("sandbox-") ? kicked.push(runner.slice("sandbox-".length)) : 0),
    },
  });
  const sessions = new Sessions({
    store,
    storeId: saved.id,
    instances,
    access,
    lobbies: () => wolf,
    agentUrl: undefined,
    defaultImage: "image",
    awaitMs: 30_000,
    waitingCreations: new Shares({ what: "waits", perHolder: 6, perOperator: 10, total: 100 }),
    log: silentLogger,
    onEvent: (event) => void events.push(event),
  });
  return {
    wolf,
    store,
    tokens,
    issuer,
    online,
    away,
    instances,
    events,
    kicked,
    sessions,
    storeId: saved.id,
  };
}

const create = ({ sessions }: { sessions: Sessions }) => sessions.create("alice", "name", SPEC);

function failureOf(code: ErrorCode | "wolf_failed"): CodedError {
  return code === "wolf_failed" ? new HelixError(code, "x") : new TurnaboutError(code, "x");
}

describe("Sessions", () => {
  it("resolves a creation without a response while another session's comparison is under way", async () => {
    const stand = start();
    const { wolf, store, sessions } = stand;
    const lists: PromiseWithResolvers<Lobby[]>[] = [];
    wolf.list = () => {
      const list = Promise.withResolvers<Lobby[]>();
      lists.push(list);
      return list.promise;
    };
    const responses: PromiseWithResolvers<string>[] = [];
    wolf.create = (request) => {
      wolf.make(request);
      const response = Promise.withResolvers<string>();
      responses.push(response);
      return response.promise;
    };
    const both = [create(stand), create(stand)];
    for (const one of both) one.catch(() => {});
    await turn();
    responses[0]?.reject(new TurnaboutError("tunnel_lost", "first"));
    await turn();
    assert.equal(lists.length, 1, "compared for the first");
    responses[1]?.reject(new TurnaboutError("target_closed", "second"));
    await turn();
    lists[0]?.resolve([...wolf.lobbies]);
    await turn();
    lists[1]?.resolve([...wolf.lobbies]);
    await turn();
    assert.deepEqual([store.list(), wolf.lobbies], [[], []]);
    sessions.close();
  });

  it("keeps the place of what Wolf may have done, and gives back at once what it has not seen", async () => {
    for (const [code, left] of [
      ["target_refused", 0],
      ["overloaded", 0],
      ["tunnel_timeout", 0],
      ["control_plane_draining", 0],
      ["response_timeout", 1],
      ["tunnel_lost", 1],
      ["target_closed", 1],
      ["wolf_failed", 1],
    ] as const) {
      const stand = start();
      stand.wolf.failure = new TurnaboutError("response_timeout", "Wolf is busy");
      stand.wolf.create = () => Promise.reject(failureOf(code));
      await assert.rejects(create(stand), (error) => (error as CodedError).code === code);
      assert.equal(stand.store.list().length, left, code);
      assert.equal(stand.issuer.list().length, left, code);
      stand.wolf.failure = undefined;
      await turn();
      mock.timers.tick(1_000);
      await turn();
      assert.equal(stand.store.list().length, 0, `${code}: settled by itself`);
      assert.equal(stand.issuer.list().length, 0);
      stand.sessions.close();
    }
  });

  it("lets one user wait for an instance only so often at once, and another user still wait", async () => {
    const stand = start();
    const { sessions, online, away } = stand;
    online.clear();
    away.add("a");
    const wait = (owner: string, holder?: string) => {
      const created = sessions.create(owner, "name", SPEC, { waitMs: 30_000, holder });
      return created.then(
        () => "created",
        (error: unknown) => (error as CodedError).code,
      );
    };
    const alices = Array.from({ length: 6 }, () => wait("alice"));
    assert.equal(await wait("alice"), "share_exceeded");
    const admins = wait("alice", "admin x");
    const bobs = wait("bob");
    online.add("a");
    sessions.capacityChanged();
    const outcomes = await Promise.all([...alices, admins, bobs]);
    assert.deepEqual(new Set(outcomes), new Set(["created"]));
    assert.equal(await wait("alice"), "created");
    sessions.close();
  });

  it("finds out by itself that Wolf has started anew", async () => {
    const stand = start();
    const session = await create(stand);
    stand.wolf.lobbies.length = 0;
    mock.timers.tick(60_000);
    await turn();
    assert.deepEqual(stand.events.at(-1), {
      type: "session-ended",
      session: session.id,
      owner: "alice",
      reason: "its lobby is gone",
    });
    stand.sessions.close();
    const calls = stand.wolf.calls.length;
    mock.timers.tick(60_000);
    await turn();
    assert.equal(stand.wolf.calls.length, calls, "no timer is left");
  });

  it("sweeps an instance of which it knows no session: when it connects, after a failure, and every minute", async () => {
    const stand = start();
    const { wolf } = stand;
    const orphan = (id: string) => wolf.lobbies.push({ id, name: "ses_ended", madeBy: stand.storeId });
    orphan("there when it connects");
    wolf.failure = new TurnaboutError("target_refused", "Wolf is down");
    stand.sessions.reconcile("a");
    await turn();
    assert.equal(wolf.lobbies.length, 1);
    wolf.failure = undefined;
    mock.timers.tick(1_000);
    await turn();
    assert.deepEqual(wolf.lobbies, []);
    orphan("comes later");
    mock.timers.tick(60_000);
    await turn();
    assert.deepEqual(wolf.lobbies, []);
    stand.sessions.close();
  });

  it("stops its own lobbies whose session has ended, and no others", async () => {
    const stand = start();
    await create(stand);
    const { wolf } = stand;
    wolf.lobbies.push(
      { id: "late", name: "ses_ended", madeBy: stand.storeId },
      { id: "other", name: "ses_other", madeBy: "another store" },
      { id: "manual", name: "ses_manual", madeBy: undefined },
    );
    stand.sessions.reconcile("a");
    await turn();
    assert.deepEqual(
      wolf.lobbies.map(({ id }) => id),
      ["lobby-0", "other", "manual"],
    );
    stand.sessions.close();
  });

  it("continues with the others if one lobby cannot be stopped, and retries it", async () => {
    const stand = start();
    const { wolf, sessions, store, online } = stand;
    const [first, second] = [await create(stand), await create(stand)];
    online.clear();
    assert.deepEqual([await sessions.remove(first), await sessions.remove(second)], [false, false]);
    online.add("a");
    const stop = wolf.stop.bind(wolf);
    wolf.stop = (id) => (id === "lobby-0" ? Promise.reject(new Error("busy")) : stop(id));
    sessions.reconcile("a");
    await turn();
    assert.deepEqual(
      store.list().map(({ id }) => id),
      [first.id],
    );
    wolf.stop = stop;
    mock.timers.tick(1_000);
    await turn();
    assert.deepEqual([store.list(), wolf.lobbies], [[], []]);
    sessions.close();
  });

  it("takes over nothing of a session that is being created", async () => {
    const stand = start();
    const response = Promise.withResolvers<string>();
    stand.wolf.create = () => response.promise;
    const creation = create(stand);
    await turn();
    stand.sessions.reconcile("a");
    await turn();
    assert.equal(stand.store.list()[0]?.state, "creating", "no lobby yet is no reason to end it");
    response.resolve("lobby-x");
    assert.equal((await creation).state, "running");
    stand.sessions.close();
  });

  it("tries the next instance where Wolf has surely not seen the request, and no other", async () => {
    for (const [code, tried, left] of [
      ["target_refused", ["a", "b", "c"], []],
      ["overloaded", ["a", "b", "c"], []],
      ["control_plane_draining", ["a"], []],
      ["response_timeout", ["a"], ["a"]],
      ["wolf_failed", ["a"], ["a"]],
    ] as const) {
      const stand = start();
      for (const id of ["b", "c", "d"]) {
        stand.online.add(id);
        stand.instances.connected(id, 1);
      }
      const requested: (string | undefined)[] = [];
      stand.wolf.failure = new TurnaboutError("response_timeout", "Wolf is busy");
      stand.wolf.create = () => {
        requested.push(stand.store.list()[0]?.instanceId);
        return Promise.reject(failureOf(code));
      };
      await assert.rejects(create(stand), (error) => (error as CodedError).code === code);
      assert.deepEqual(requested, tried, code);
      assert.deepEqual(
        stand.store.list().map(({ instanceId }) => instanceId),
        left,
        code,
      );
      stand.sessions.close();
    }
  });

  it("stays with one session and one place while it moves on, and does not outlive its deletion", async () => {
    const stand = start();
    stand.online.add("b");
    stand.instances.connected("b", 1);
    const failures: PromiseWithResolvers<string>[] = [];
    stand.wolf.create = () => {
      const failure = Promise.withResolvers<string>();
      failures.push(failure);
      return failure.promise;
    };
    const creation = create(stand);
    await turn();
    failures[0]?.reject(new TurnaboutError("target_refused", "down"));
    await turn();
    const [session] = stand.store.list();
    assert.deepEqual(
      [stand.store.list().length, session?.instanceId, stand.issuer.list().length],
      [1, "b", 1],
    );
    assert.equal(stand.store.onInstance("a").length, 0);
    if (session !== undefined) await stand.sessions.remove(session);
    failures[1]?.reject(new TurnaboutError("target_refused", "down"));
    await assert.rejects(creation, /down/);
    assert.deepEqual([stand.store.list(), failures.length], [[], 2]);
    stand.sessions.close();
  });

  it("avoids an instance whose disk or GPU is all but full, as long as that was reported recently", async () => {
    const gpu = { index: 0, model_name: null, vendor: null, total_memory: null, used_memory: null };
    const full = { ...gpu, used_percent: 95, utilization_percent: null, temperature_celsius: null };
    const mount = { mount_point: "/", total_bytes: 100, used_bytes: 95, avail_bytes: 5, used_percent: 95 };
    for (const critical of [{ gpus: [full] }, { disk_usage: [mount] }]) {
      const stand = start();
      stand.online.add("b");
      stand.instances.connected("b", 1);
      stand.instances.heartbeat("a", critical);
      assert.deepEqual(
        [(await create(stand)).instanceId, (await create(stand)).instanceId],
        ["b", "b"],
        "though it is the more loaded",
      );
      const later = Date.now() + MAX_FIGURE_AGE_MS + 1_000;
      mock.method(Date, "now", () => later);
      stand.instances.heartbeat("a", {}); // says nothing of them: they get old all the same
      assert.equal((await create(stand)).instanceId, "a");
      stand.instances.heartbeat("a", critical);
      assert.equal((await create(stand)).instanceId, "b", "again");
      stand.instances.heartbeat("b", { max_sandboxes: 0 });
      assert.equal((await create(stand)).instanceId, "a", "where there is no other");
      mock.restoreAll();
      stand.sessions.close();
    }
  });

  it("waits for an instance that is expected back, no longer than it is", async () => {
    const stand = start();
    stand.online.clear();
    stand.away.add("a");
    const back = create(stand);
    await turn();
    stand.away.clear();
    stand.online.add("a");
    stand.sessions.capacityChanged();
    assert.equal((await back).state, "running");

    stand.online.clear();
    stand.away.add("a");
    const given = create(stand);
    await turn();
    stand.away.clear();
    stand.sessions.instanceLost("a");
    await assert.rejects(given, (error) => (error as CodedError).code === "no_instance_online");

    stand.away.add("a"); // and it comes and goes
    const late = create(stand);
    await turn();
    mock.timers.tick(30_000);
    const now = performance.now() + 30_000;
    mock.method(performance, "now", () => now);
    stand.sessions.capacityChanged();
    await assert.rejects(late, (error) => (error as CodedError).code === "no_instance_online");
    mock.restoreAll();
    stand.sessions.close();
  });

  it("gives a place once, in order, however many wait for it", async () => {
    const stand = start();
    stand.online.clear();
    stand.away.add("a");
    stand.instances.heartbeat("a", { max_sandboxes: 2 });
    const all = Array.from({ length: 5 }, () => create(stand));
    const outcomes = Promise.allSettled(all);
    await turn();
    stand.away.clear();
    stand.online.add("a");
    stand.sessions.capacityChanged();
    assert.deepEqual(
      (await outcomes).map((one) => (one.status === "fulfilled" ? "made" : (one.reason as CodedError).code)),
      ["made", "made", "instances_full", "instances_full", "instances_full"],
    );
    stand.sessions.close();
  });

  it("waits for a place while its caller's limit, connection and credential allow", async () => {
    const stand = start();
    stand.instances.heartbeat("a", { max_sandboxes: 1 });
    const first = await create(stand);
    const caller = new AbortController();
    let mayCreate = true;
    const wait = (more: object = {}) =>
      stand.sessions.create("alice", "name", SPEC, { waitMs: 5_000, ...more });
    const gone = wait({ signal: caller.signal });
    const revoked = wait({ mayCreate: () => mayCreate });
    const served = wait();
    const both = Promise.allSettled([gone, revoked]);
    await turn();
    caller.abort();
    mayCreate = false;
    await stand.sessions.remove(first);
    assert.equal((await served).state, "running");
    assert.deepEqual(
      (await both).map((one) => one.status === "rejected" && (one.reason as CodedError).code),
      ["aborted", "unauthenticated"],
    );
    assert.equal(stand.store.list().length, 1);
    const drained = wait();
    await turn();
    stand.sessions.drain();
    await assert.rejects(drained, (error) => (error as CodedError).code === "control_plane_draining");
    stand.sessions.close();
  });

  it("whose instance is forgotten while Wolf creates it is no session, and leaves no lobby", async () => {
    const stand = start();
    const response = Promise.withResolvers<void>();
    stand.wolf.create = async (request) => {
      await response.promise;
      return stand.wolf.make(request);
    };
    const creation = create(stand);
    await turn();
    stand.sessions.instanceRemoved("a");
    response.resolve();
    await assert.rejects(creation, (error) => (error as CodedError).code === "session_unknown");
    await turn();
    assert.deepEqual([stand.store.list(), stand.wolf.lobbies], [[], []]);
    stand.sessions.close();
  });
});
