import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { RequestRecord } from "../records/request-record.ts";
import type { Way } from "../records/request-record.ts";
import { History } from "./history.ts";
import { Latencies } from "./latencies.ts";
import { HISTORY_STEP_MS, HISTORY_STEPS } from "./limits.ts";

describe("latencies", () => {
  it("have percentiles that are at most an eighth off, from the shortest to the longest", () => {
    for (const ms of [0.02, 0.3, 1, 7, 60, 999, 60_000, 1_000_000]) {
      const latencies = new Latencies();
      latencies.addMs(ms);
      const found = latencies.percentileMs(50) ?? 0;
      assert.ok(Math.abs(found - ms) / ms <= 0.125 + 1e-9, `${ms}: ${found}`);
    }
  });

  it("distinguish many from a few, and have none where nothing was counted", () => {
    const latencies = new Latencies();
    assert.equal(latencies.percentileMs(99), undefined);
    for (let i = 0; i < 99; i += 1) latencies.addMs(1);
    latencies.addMs(1_000);
    const at = (percent: number): number => Math.round(latencies.percentileMs(percent) ?? 0);
    assert.deepEqual([at(50), at(99)], [1, 1]);
    assert.ok(at(99.5) > 800);
    latencies.reset();
    assert.equal(latencies.percentileMs(50), undefined);
    latencies.addMs(0);
    latencies.addMs(Infinity);
    assert.ok((latencies.percentileMs(50) ?? 1) < 0.1);
  });
});

const opened: History[] = [];

afterEach(() => {
  for (const history of opened.splice(0)) history.close();
});

function start() {
  const clock = { now: 1_000_000_000 };
  const sources = { tunnelBytes: 500 };
  const history = new History(
    { streams: () => 3, waitingDials: () => 2, runners: () => 1, tunnelBytes: () => sources.tunnelBytes },
    () => clock.now,
  );
  opened.push(history);
  return {
    history,
    sources,
    step: () => {
      clock.now += HISTORY_STEP_MS;
      history.step();
    },
  };
}

function request(way: Way, fields: Partial<RequestRecord> = {}): RequestRecord {
  return Object.assign(new RequestRecord("id", way), { code: "ok", totalMs: 8, ...fields });
}

describe("the history", () => {
  it("counts requests to targets and events of a step, and begins anew with the next", () => {
    const { history, sources, step } = start();
    history.add(request("route", { bytesIn: 5, bytesOut: 7, status: 200 }));
    history.add(request("route", { status: 502 }));
    history.add(request("websocket", { code: "tunnel_lost", totalMs: 1e6 }));
    history.add(request("api"));
    for (const type of ["connected", "lost", "connected", "replaced"]) history.count(type);
    sources.tunnelBytes = 1_500;
    step();
    step();
    const { time, series } = history.columns();
    assert.deepEqual(time, [1_000_010, 1_000_020]);
    assert.deepEqual(
      [series.requests, series.errors, series.bytesIn, series.bytesOut, series.connects, series.losses],
      [
        [3, 0],
        [2, 0],
        [5, 0],
        [7, 0],
        [2, 0],
        [1, 0],
      ],
    );
    assert.deepEqual(
      [series.streams, series.waitingDials, series.runners],
      [
        [3, 3],
        [2, 2],
        [1, 1],
      ],
    );
    assert.deepEqual(series.tunnelBytes, [1_500, 0]);
    assert.ok((series.p99Ms[0] ?? 0) < 10, "a WebSocket's length is no latency");
    assert.equal(series.p99Ms[1], null);
    assert.ok((series.rssBytes[0] ?? 0) > 1e6);
  });

  it("keeps an hour, and gives what is later than a time", () => {
    const { history, step } = start();
    for (let i = 0; i < HISTORY_STEPS + 5; i += 1) step();
    const { time, series } = history.columns();
    assert.equal(time.length, HISTORY_STEPS);
    assert.ok(Object.values(series).every(({ length }) => length === HISTORY_STEPS));
    assert.deepEqual(
      time,
      time.toSorted((a, b) => a - b),
    );
    assert.deepEqual(history.columns(time.at(-3)).time, time.slice(-2));
    assert.deepEqual(history.columns(time.at(-1)).time, []);
  });
});
