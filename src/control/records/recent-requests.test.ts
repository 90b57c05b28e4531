import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_REASON_LENGTH, RECENT_REQUESTS_PER_TARGET, RECENT_REQUESTS_PER_USER } from "./limits.ts";
import { RecentRequests } from "./recent-requests.ts";
import { RequestRecord } from "./request-record.ts";

function record(fields: Partial<RequestRecord>, way: "api" | "route" = "route"): RequestRecord {
  return Object.assign(new RequestRecord("id", way), { code: "ok", ...fields });
}

const WEB = { runner: "gpu-1", target: "web", connection: "c1", requester: { id: "ci", owner: "alice" } };

function targetsIn(recent: RecentRequests): (string | undefined)[] {
  return [...new Set([...recent].map(({ value }) => value.target))];
}

describe("recent requests", () => {
  it("keep what others have, whatever names a caller invents and however often the API is called", () => {
    const recent = new RecentRequests();
    recent.add(record(WEB));
    recent.add(record({ ...WEB, connection: undefined, target: "first", code: "runner_offline" }));
    for (let i = 0; i < 20_000; i += 1) {
      const requester = { id: "bob", owner: undefined };
      recent.add(record({ runner: `r${i}`, target: "x", requester, code: "runner_unknown" }));
      recent.add(record({ ...WEB, target: `t${i}`, requester, code: "target_unknown" }));
      recent.add(record({ requester: WEB.requester }, "api"));
      recent.add(record({ ...WEB, runner: "gpu-2", target: "busy" }));
    }
    assert.equal(
      recent.size,
      2 + RECENT_REQUESTS_PER_USER + RECENT_REQUESTS_PER_USER + RECENT_REQUESTS_PER_TARGET,
    );
    const targets = targetsIn(recent);
    assert.ok(targets.includes("web") && targets.includes("first"));
  });

  it("keep no value of a query, no more of a path than a line has, and no more of a reason", () => {
    const recent = new RecentRequests();
    const failed = record({ ...WEB, path: `/a?access_token=secret&b=${"x".repeat(10_000)}` });
    failed.failed(new Error("y".repeat(10_000)));
    recent.add(failed);
    const [kept] = recent;
    assert.equal(kept?.value.path, "/a?access_token=*&b=*");
    assert.equal(kept.value.reason?.length, MAX_REASON_LENGTH);
    recent.add(record({ ...WEB, path: `/${"p".repeat(10_000)}` }));
    const [long] = recent;
    assert.ok((long?.value.path?.length ?? 0) < 2_100);
  });
});
