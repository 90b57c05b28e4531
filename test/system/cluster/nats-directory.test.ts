/** The directory on a real NATS server: what its client library, its watch and its failures make of it. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, describe, it } from "node:test";
import { connect } from "@nats-io/transport-node";
import { jetstreamManager } from "@nats-io/jetstream";
import { Directory, NatsKeyValue, systemClock } from "../../../src/cluster/index.ts";
import type { LocalRunner, Refusal } from "../../../src/cluster/index.ts";
import { agent } from "../../simulation/world.ts";
import { keptLog } from "../../support/agents.ts";
import { closedAtTheEnd } from "../../support/cleanup.ts";
import { EventLog } from "../../support/event-log.ts";
import { eventually, within } from "../../support/events.ts";
import { openFaultyPath } from "../../support/faulty-path.ts";
import { startNats } from "../../support/nats.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { missing } from "../../support/parts.ts";

const BUCKET = "turnabout";

interface Member {
  directory: Directory;
  keyValue: NatsKeyValue;
  refused: EventLog<{ local: LocalRunner; refusal: Refusal }>;
  /** What the directory and the engine have logged. */
  messages: () => string[];
  close: () => Promise<void>;
}

/** A node's directory. `start` has been called, and not awaited. */
function join(nodeId: string, server: string): Member & { started: Promise<void> } {
  const { log, lines } = keptLog();
  const refused = new EventLog<{ local: LocalRunner; refusal: Refusal }>();
  const keyValue = new NatsKeyValue({ servers: [server], bucket: BUCKET, name: nodeId, log });
  const directory = new Directory({
    keyValue,
    clock: systemClock(),
    log,
    nodeId,
    url: `https://${nodeId}.example`,
    version: "1",
    createEpoch: randomUUID,
    onRefused: (local, refusal) => refused.push({ local, refusal }),
  });
  const close = closedAtTheEnd(async () => {
    await directory.close();
    await keyValue.close();
  });
  const messages = (): string[] => lines.all.map(({ message }) => message);
  return { directory, keyValue, refused, messages, close, started: directory.start() };
}

function placesOf({ directory }: Member, runnerId: string): string[] {
  return directory.placeOf(runnerId).map(({ processId, nodeId }) => `${processId} at ${nodeId}`);
}

function nodesOf({ directory }: Member): string[] {
  return directory
    .nodes()
    .map(({ id }) => id)
    .toSorted();
}

describe("the directory on a NATS server", { skip: missing("nats-server"), concurrency: true }, () => {
  after(() => assertNothingOpen());

  it("shows every node what is entered at one, refuses another credential, and what a node has entered ends with it", async () => {
    await using nats = await startNats();
    const [a, b] = [join("a", nats.url), join("b", nats.url)];
    await Promise.all([a.started, b.started]);
    await eventually(() => nodesOf(a).length === 2 && nodesOf(b).length === 2, "two nodes");
    assert.equal(await a.directory.register(agent("wolf-1", "one", "p")), "registered");
    await eventually(() => placesOf(b, "wolf-1").length === 1, "the runner at the other node");
    assert.deepEqual(placesOf(b, "wolf-1"), ["p at a"]);
    const other = await b.directory.register(agent("wolf-1", "two", "q"));
    assert.equal(other === "registered" ? other : other.kind, "taken");
    assert.equal(await b.directory.register(agent("wolf-1", "one", "newer")), "registered");
    await eventually(() => placesOf(a, "wolf-1")[0] === "newer at b", "the newer generation first");
    await a.close();
    await eventually(() => nodesOf(b).length === 1, "the node's end");
    assert.deepEqual(placesOf(b, "wolf-1"), ["newer at b"]);
    await b.close();
  });

  it("lets one credential win where two nodes register a runner at once", async () => {
    await using nats = await startNats();
    const members = [join("a", nats.url), join("b", nats.url)] as const;
    await Promise.all(members.map(({ started }) => started));
    const runners = Array.from({ length: 50 }, (_, i) => `runner-${i}`);
    const outcomes = await Promise.all(
      runners.map(async (id) => {
        const both = members.map(({ directory }, i) => directory.register(agent(id, `of-${i}`, `p-${i}`)));
        return (await Promise.all(both)).map((each) => (each === "registered" ? each : each.kind)).toSorted();
      }),
    );
    for (const outcome of outcomes) assert.deepEqual(outcome, ["registered", "taken"]);
    for (const id of runners)
      await eventually(
        () => members.every((member) => placesOf(member, id).length === 1),
        `one place of ${id}`,
      );
    for (const { close } of members) await close();
  });

  it("loses no node and no runner when the server is killed, and follows again when it is back", async () => {
    await using nats = await startNats();
    const [a, b] = [join("a", nats.url), join("b", nats.url)];
    await Promise.all([a.started, b.started]);
    assert.equal(await a.directory.register(agent("wolf-1", "one", "p")), "registered");
    const epochs = (): string[] => b.directory.nodes().map(({ epoch }) => epoch);
    await eventually(
      () => epochs().length === 2 && placesOf(b, "wolf-1").length === 1,
      "two nodes and a runner",
    );
    const before = epochs();
    await nats.kill();
    await eventually(
      () => !a.directory.isFresh && !b.directory.isFresh,
      "that the directory knows its blindness",
    );
    assert.deepEqual(placesOf(b, "wolf-1"), ["p at a"]);
    const late = a.directory.register(agent("wolf-2", "one", "p"));
    await nats.start();
    assert.equal(await late, "registered");
    await eventually(
      () => placesOf(b, "wolf-2").length === 1 && b.directory.isFresh,
      "what was written afterwards",
    );
    assert.deepEqual(epochs(), before);
    assert.ok(!a.messages().some((message) => /ended by another node/.test(message)));
    for (const { close } of [a, b]) await close();
  });

  it("sees the last write of a link that was a black hole, and gives a node up only after that has stopped acting", async () => {
    await using nats = await startNats();
    const path = await openFaultyPath(nats.port);
    const [a, b] = [join("a", nats.url), join("b", `nats://127.0.0.1:${path.port}`)];
    await Promise.all([a.started, b.started]);
    assert.equal(await b.directory.register(agent("wolf-1", "one", "p")), "registered");
    await eventually(() => placesOf(a, "wolf-1").length === 1, "the runner");
    const order: string[] = [];
    const ended = a.directory.onChange(() => {
      if (nodesOf(a).length === 1) order.push(b.directory.isHolder ? "ended while it acted" : "ended");
    });
    path.stall();
    assert.equal(await a.directory.register(agent("wolf-2", "one", "p")), "registered");
    await eventually(() => nodesOf(a).length === 1, "the end of the lease", 60_000);
    assert.deepEqual(placesOf(a, "wolf-1"), []);
    assert.deepEqual(order.slice(0, 1), ["ended"]);
    ended();
    path.resume();
    await eventually(() => placesOf(b, "wolf-2").length === 1, "the last write", 60_000);
    await eventually(() => placesOf(a, "wolf-1").length === 1, "its runner again", 60_000);
    for (const { close } of [a, b]) await close();
    await path.close();
  });

  it("enters everything again when the bucket has been deleted", async () => {
    await using nats = await startNats();
    const [a, b] = [join("a", nats.url), join("b", nats.url)];
    await Promise.all([a.started, b.started]);
    assert.equal(await a.directory.register(agent("wolf-1", "one", "p")), "registered");
    await eventually(() => placesOf(b, "wolf-1").length === 1, "the runner");
    const connection = await connect({ servers: `127.0.0.1:${nats.port}` });
    await (await jetstreamManager(connection)).streams.delete(`KV_${BUCKET}`);
    await connection.close();
    await eventually(() => nodesOf(b).length < 2, "an empty directory");
    await eventually(() => nodesOf(b).length === 2 && placesOf(b, "wolf-1").length === 1, "all of it again");
    for (const { close } of [a, b]) await close();
  });

  it("starts without a server, reports that once, and joins when there is one", async () => {
    await using nats = await startNats();
    await nats.kill();
    const a = join("a", nats.url);
    await within(a.started, "the start"); // nothing of the directory keeps the process alive
    const { lease, isHolder, isFresh } = a.directory.status();
    assert.deepEqual({ lease, isHolder, isFresh }, { lease: "waiting", isHolder: false, isFresh: false });
    assert.match(a.keyValue.problem ?? "", /./);
    assert.equal(a.messages().filter((message) => message === "NATS").length, 1);
    await nats.start();
    await eventually(() => a.directory.isFresh, "that it has joined");
    assert.equal(a.directory.status().problem, undefined);
    await a.close();
  });
});
