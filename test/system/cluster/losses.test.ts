/** Nodes and agents that are lost or move: callers at other nodes wait in the grace, or get the reason. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { createAgent } from "../../../src/agent/agent.ts";
import type { Agent } from "../../../src/agent/agent.ts";
import { errorCodeOf } from "../../../src/wire/errors.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { file } from "../../support/agents.ts";
import { errorCode, openCaller, via } from "../../support/callers.ts";
import { eventually, next, within } from "../../support/events.ts";
import { startNodes, untilUsable } from "../../support/nodes.ts";
import type { Nodes, TestNode } from "../../support/nodes.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import type { TestTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const OTHER_TOKEN = "another-token";
const TOKENS = [{ id: "other", kind: "runner" as const, sha256: hashToken(OTHER_TOKEN), runners: ["*"] }];

function agentAt(nodes: Nodes, { url }: TestNode, target: TestTarget, token: string = ADMIN_TOKEN): Agent {
  return createAgent({
    server: url,
    caFile: file(nodes.pki.ca),
    token: { value: token },
    runners: { [RUNNER]: { web: target.address } },
    connections: 1,
    backoffBaseMs: 20,
    backoffCapMs: 100,
    drainMs: 200,
  });
}

function startWeb(name: string): Promise<TestTarget> {
  return startHttpTarget((request, response) => {
    if (request.url === "/slow") return;
    response.end(name);
  });
}

describe("at the first node", () => {
  it("requests wait while the agent moves from the second node to the third, and are served there", async () => {
    await using nodes = await startNodes(3, { graceMs: 10_000, drainMs: 200 });
    await using target = await startWeb("moved");
    await using caller = await openCaller("HTTP/2 on TLS", nodes.at(1));
    const before = agentAt(nodes, nodes.at(2), target);
    await untilUsable(nodes.at(1), RUNNER);
    assert.equal((await caller.call({ path: via("/", "web") })).text, "moved");
    await before.close();
    const waiting = [1, 2, 3].map(() => caller.call({ path: via("/", "web") }));
    const now = agentAt(nodes, nodes.at(3), target);
    for (const { status, text } of await Promise.all(waiting)) assert.equal(`${status} ${text}`, "200 moved");
    await now.close();
  });

  it("a node that is lost ends what was under way there, and a safe request is served where the agent is next", async () => {
    await using nodes = await startNodes(3, { graceMs: 10_000, drainMs: 0 });
    await using target = await startWeb("here");
    await using caller = await openCaller("HTTP/1.1 on TLS", nodes.at(1));
    const agent = agentAt(nodes, nodes.at(2), target);
    await untilUsable(nodes.at(1), RUNNER);
    const request = next(target.server, "request");
    const post = caller.call({ path: via("/slow", "web"), method: "POST", body: "x" });
    await request;
    nodes.directory.leave("node-2");
    const lost = await within(post, "the end of the request");
    assert.equal(lost.status, 502);
    assert.equal(errorCode(lost.text), "tunnel_lost");
    const waiting = caller.call({ path: via("/", "web") });
    const second = agentAt(nodes, nodes.at(3), target);
    assert.equal((await waiting).text, "here");
    await Promise.all([agent.close(), second.close()]);
  });

  it("a stream goes no further than to the second node, which says that the agent is elsewhere", async () => {
    await using nodes = await startNodes(3, { graceMs: 300 });
    await using target = await startWeb("third");
    const agent = agentAt(nodes, nodes.at(3), target);
    await untilUsable(nodes.at(2), RUNNER);
    const [place] = nodes.directory.placesOf(RUNNER);
    assert.ok(place !== undefined);
    // What node 1 believes: another process stands by at node 2.
    const bootEpochMs = place.bootEpochMs + 1;
    nodes.directory.enter("node-2", { ...place, processId: "another", bootEpochMs, standby: true });
    await using caller = await openCaller("HTTP/1.1 on TLS", nodes.at(1));
    const { status, text } = await caller.call({ path: via("/", "web") });
    assert.equal(`${status} ${errorCode(text)}`, "503 agent_draining");
    await agent.close();
  });

  it("a newer process at another node takes the runner over from the one here", async () => {
    await using nodes = await startNodes(2, { graceMs: 5_000 });
    await using older = await startWeb("older");
    await using newer = await startWeb("newer");
    await using caller = await openCaller("HTTP/1.1 on TLS", nodes.at(1));
    const first = agentAt(nodes, nodes.at(1), older);
    await untilUsable(nodes.at(1), RUNNER);
    assert.equal((await caller.call({ path: via("/", "web") })).text, "older");
    const second = agentAt(nodes, nodes.at(2), newer);
    const isEntered = (): boolean => nodes.directory.placesOf(RUNNER)[0]?.nodeId === "node-2";
    await eventually(isEntered, "the newer one is entered");
    assert.equal((await caller.call({ path: via("/", "web") })).text, "newer");
    await Promise.all([first.close(), second.close()]);
  });

  it("another credential does not get the runner that an agent holds at the second node", async () => {
    await using nodes = await startNodes(2, { graceMs: 5_000, tokens: TOKENS });
    await using target = await startWeb("held");
    const holder = agentAt(nodes, nodes.at(2), target);
    await untilUsable(nodes.at(1), RUNNER);
    const failures: string[] = [];
    const other = createAgent({
      server: nodes.at(1).url,
      caFile: file(nodes.pki.ca),
      token: { value: OTHER_TOKEN },
      runners: { [RUNNER]: { web: target.address } },
      connections: 1,
      onEvent: (event) => {
        if (event.type === "attempt-failed") failures.push(errorCodeOf(event.error) ?? "");
      },
    });
    await eventually(() => failures.length > 0, "a refusal");
    assert.equal(failures[0], "runner_taken");
    await Promise.all([other.close(), holder.close()]);
  });
});
