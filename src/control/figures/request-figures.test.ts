import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RequestRecord } from "../records/request-record.ts";
import { METRICS_GONE_MS, METRICS_MAX_TARGETS } from "./limits.ts";
import { RequestFigures } from "./request-figures.ts";

interface Ended {
  runner?: string;
  target?: string;
  code?: string;
  /** False: no connection was found. */
  placed?: boolean;
}

function ended({ runner = "r", target = "t", code = "ok", placed = true }: Ended = {}): RequestRecord {
  const record = new RequestRecord("id", "route");
  record.runner = runner;
  record.target = target;
  if (placed) record.placed("connection");
  record.code = code;
  record.totalMs = 3;
  return record;
}

function counts(figures: RequestFigures): Record<string, number> {
  return Object.fromEntries(
    [...figures.all()].map(({ runner, target, durations }) => [`${runner} ${target}`, durations.count]),
  );
}

describe("figures of requests", () => {
  it("stay bounded while thousands of runners come and go, and lose no request of those that stay", () => {
    const gone = new Set<string>();
    const figures = new RequestFigures((id) => gone.has(id));
    figures.add(ended({ runner: "stays" }));
    for (let n = 0; n < 5_000; n += 1) {
      figures.add(ended({ runner: `runner-${n}` }));
      gone.add(`runner-${n}`);
      assert.ok(figures.size <= METRICS_MAX_TARGETS);
    }
    figures.add(ended({ runner: "stays" }));
    assert.equal(counts(figures)["stays t"], 2);
    assert.equal(figures.byWay.route.count, 5_002);
    figures.sweep(performance.now(), 0);
    assert.deepEqual(Object.keys(counts(figures)), ["stays t", "other other"]);
  });

  it("are counted as others beyond the bound", () => {
    const figures = new RequestFigures(() => false);
    for (let n = 0; n < METRICS_MAX_TARGETS + 7; n += 1) figures.add(ended({ target: `t${n}` }));
    figures.add(ended({ target: "t0" }));
    const counted = counts(figures);
    assert.equal(counted["other other"], 7);
    assert.equal(counted["r t0"], 2);
  });

  it("leave out callers who may not have the target", () => {
    const figures = new RequestFigures(() => false);
    figures.add(ended());
    figures.add(ended({ placed: false, code: "not_allowed" }));
    figures.add(ended({ runner: "invented", placed: false, code: "not_allowed" }));
    assert.deepEqual(counts(figures), { "r t": 1, "other other": 0 });
    assert.equal(figures.byWay.route.count, 3);
  });

  it("have no series for names that a caller has invented, nor a second one for a runner named as the rest", () => {
    const figures = new RequestFigures(() => false);
    figures.add(ended({ runner: "invented", placed: false, code: "runner_unknown" }));
    figures.add(ended({ runner: "other", target: "other" }));
    assert.deepEqual(counts(figures), { "other other": 2 });
    figures.add(ended());
    figures.add(ended({ placed: false, code: "runner_offline" }));
    assert.equal(counts(figures)["r t"], 2, "a known target is offline");
  });

  it("of a runner that is gone stay for a few scrapes, and stay for good if it returns", () => {
    let isGone = true;
    const figures = new RequestFigures(() => isGone);
    figures.add(ended());
    figures.sweep(1_000);
    figures.sweep(1_000 + METRICS_GONE_MS - 1);
    assert.equal(figures.size, 1);
    isGone = false;
    figures.sweep(1_000 + METRICS_GONE_MS);
    isGone = true;
    figures.sweep(1_000 + METRICS_GONE_MS + 1);
    assert.equal(figures.size, 1);
    figures.sweep(1_000 + 2 * METRICS_GONE_MS + 1);
    assert.equal(figures.size, 0);
  });

  it("keep the kind of a target's last failure, and none of those that are not its doing", () => {
    const figures = new RequestFigures(() => false);
    for (const code of ["target_refused", "response_timeout", "aborted", "not_allowed", "tunnel_lost"])
      figures.add(ended({ code }));
    const [figure] = figures.targets();
    assert.equal(figure?.lastFailure?.code, "response_timeout");
  });
});
