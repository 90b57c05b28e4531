import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Container } from "./containers.ts";
import { planRunners } from "./plan.ts";
import type { Circumstances } from "./plan.ts";

function container(id: string, runner: string, createdAtS = 0): Container {
  return {
    id,
    name: id,
    createdAtS,
    labels: new Map([
      ["turnabout.runner", runner],
      ["turnabout.target.x", "80"],
    ]),
    networkMode: "default",
    addresses: new Map([["bridge", "172.17.0.2"]]),
  };
}

function plan(
  containers: Container[],
  circumstances: Partial<Circumstances> = {},
): { runners: string[]; problems: string[] } {
  const all = {
    own: new Set<string>(),
    announced: new Map<string, string>(),
    maxRunners: 100,
    hostNetwork: false,
    ...circumstances,
  };
  const { runners, problems } = planRunners(containers, all);
  return {
    runners: [...runners].map(([id, planned]) => `${id}=${planned.container.id}`),
    problems: problems.map(({ container: name, reason }) => `${name}: ${reason}`),
  };
}

describe("of two containers with one runner", () => {
  it("the older one has it, in whatever order they are listed", () => {
    const [old, young] = [container("b", "r", 1), container("a", "r", 2)];
    for (const list of [
      [old, young],
      [young, old],
    ]) {
      assert.deepEqual(plan(list), {
        runners: ["r=b"],
        problems: ["a: runner r is already announced for container b"],
      });
    }
  });

  it("the announced one keeps it", () => {
    const both = [container("old", "r", 1), container("young", "r", 2)];
    assert.deepEqual(plan(both, { announced: new Map([["r", "young"]]) }).runners, ["r=young"]);
  });

  it("neither has the agent's own", () => {
    const { runners, problems } = plan([container("a", "wolf-1"), container("b", "r")], {
      own: new Set(["wolf-1"]),
    });
    assert.deepEqual(
      [runners, problems],
      [["r=b"], ["a: runner wolf-1 is already configured at this agent"]],
    );
  });
});

describe("more containers than there may be runners", () => {
  it("lose to those that are announced, then to the older ones", () => {
    const all = [container("a", "r1", 1), container("b", "r2", 2), container("c", "r3", 3)];
    const { runners, problems } = plan(all, { maxRunners: 2, announced: new Map([["r3", "c"]]) });
    assert.deepEqual(runners, ["r3=c", "r1=a"]);
    assert.deepEqual(problems, ["b: runner r2: there are 2 discovered runners already"]);
  });
});

describe("a container with bad labels", () => {
  it("is no obstacle to the others", () => {
    const bad = container("bad", "NOT VALID");
    const { runners, problems } = plan([bad, container("good", "r")]);
    assert.deepEqual(runners, ["r=good"]);
    assert.match(problems.join(), /^bad: runner id "NOT VALID"/);
  });
});
