import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ActiveStreams } from "../../control/auth/active-streams.ts";
import { createIdentity } from "../../control/auth/identity.ts";
import { Shares } from "../../control/shares/shares.ts";
import { Store } from "../../control/store/store.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { OFFERED_STREAMS_PER_SESSION } from "../limits.ts";
import { HELIX_MIGRATIONS } from "../store/migrations.ts";
import { OfferedStreamStore } from "../store/offered-streams.ts";
import { WebRtcStreams } from "./webrtc-streams.ts";

const alice = createIdentity("alice", "h", { kind: "user", runners: [] });

function start(activeStreams = new ActiveStreams()) {
  const store = new OfferedStreamStore(new Store({ migrations: [HELIX_MIGRATIONS] }));
  /** Streams whose end was attempted: the tunnel to each of them is lost. */
  const ended: string[] = [];
  const logged: unknown[] = [];
  const streams = new WebRtcStreams({
    activeStreams,
    dial: (runner) => {
      ended.push(runner);
      return Promise.reject(new TurnaboutError("runner_offline", "lost"));
    },
    log: { info: (...line: unknown[]) => void logged.push(line) },
    store,
    credentials: "secret",
  });
  const add = (id: string, session = "ses_1"): void =>
    streams.add({ session, id, identity: alice, runner: `of-${id}`, path: `/${id}`, fields: {} });
  return { streams, add, ended, logged, activeStreams, store };
}

describe("WebRtcStreams", () => {
  it("know a stream by its session and id until it has ended", () => {
    const { streams, add, activeStreams, ended } = start();
    add("1");
    add("1", "ses_2");
    assert.deepEqual([streams.has("ses_1", "1"), streams.has("ses_2", "1")], [true, true]);
    assert.deepEqual([streams.has("ses_1", "2"), streams.has("ses_3", "1")], [false, false]);
    assert.equal(activeStreams.size, 2);
    streams.forget("ses_1", "1");
    streams.forget("ses_1", "1");
    streams.forget("ses_3", "1");
    assert.deepEqual([streams.has("ses_1", "1"), streams.has("ses_2", "1")], [false, true]);
    assert.deepEqual([activeStreams.size, ended.length], [1, 0]);
  });

  it("end with their session and with their credential, and an end that fails is only logged", async () => {
    const { streams, add, activeStreams, ended, logged } = start();
    add("1");
    add("2", "ses_2");
    activeStreams.closeGroup("ses_1", "the session has ended");
    assert.deepEqual([streams.has("ses_1", "1"), streams.has("ses_2", "2")], [false, true]);
    activeStreams.closeRevoked(() => false);
    assert.equal(activeStreams.size, 0);
    await new Promise(setImmediate);
    assert.deepEqual([ended, logged.length], [["of-1", "of-2"], 2]);
    assert.match(JSON.stringify(logged), /could not be ended/);
  });

  it("are ended again when their runner connects, unless they are open or have ended", async () => {
    const { streams, add, activeStreams, ended, store } = start();
    for (const id of ["1", "2", "3"]) add(id);
    streams.forget("ses_1", "3");
    activeStreams.closeGroup("ses_1", "the session has ended");
    streams.endLeftOver("of-1"); // it is being ended
    await streams.settled();
    add("4");
    for (const id of ["1", "3", "4"]) streams.endLeftOver(`of-${id}`);
    await streams.settled();
    assert.deepEqual(ended, ["of-1", "of-2", "of-1"]);
    const left = ["1", "2", "3", "4"].filter((id) => store.at(`of-${id}`).length > 0);
    assert.deepEqual(left, ["1", "2", "4"], "none of them could be ended");
  });

  it("are few for each session: the oldest one ends for another", async () => {
    const { streams, add, activeStreams, ended } = start();
    for (let id = 0; id <= OFFERED_STREAMS_PER_SESSION; id += 1) add(String(id));
    await new Promise(setImmediate);
    assert.deepEqual(ended, ["of-0"]);
    assert.equal(activeStreams.size, OFFERED_STREAMS_PER_SESSION);
    assert.deepEqual([streams.has("ses_1", "0"), streams.has("ses_1", "1")], [false, true]);
  });

  it("count among what a credential has open: one too many ends at once", async () => {
    const shares = new Shares({ what: "streams", perHolder: 1, perOperator: 1, total: 10 });
    const { streams, add, ended } = start(new ActiveStreams(shares));
    add("1");
    assert.throws(() => add("2"), { code: "share_exceeded" });
    await new Promise(setImmediate);
    assert.deepEqual([ended, streams.has("ses_1", "1"), streams.has("ses_1", "2")], [["of-2"], true, false]);
  });
});
