/** A sandbox that the agent beside Wolf discovers, and that has an agent of its own. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import type { RunnerView } from "../../../src/control/registry/registry.ts";
import { followAgent } from "../../support/agents.ts";
import { api } from "../../support/api.ts";
import { DockerEngine } from "../../support/docker-engine.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { newSession, startSessions } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

describe("a session's sandbox", () => {
  it("has labels by which it is discovered; the session's end ends its own agent, and not the discoverer", async () => {
    await using stand = await startSessions();
    const { url, system } = stand;
    const session = await newSession(url);
    const runner = stand.wolf("a").state.lobbies[0]?.runner;
    const { Labels: labels } = JSON.parse(String(runner?.["base_create_json"])) as {
      Labels: Record<string, string>;
    };
    assert.deepEqual(labels, { "turnabout.runner": session.runner, "turnabout.target.screenshot": "9876" });

    await using engine = await new DockerEngine().listen();
    engine.run({ id: "c1", labels });
    await using host = followAgent({
      server: url,
      runners: [{ id: "host-1", targets: [] }],
      docker: engine.url,
      discoverHostNetwork: true,
    });
    const secret = ((runner?.["env"] ?? []) as string[])
      .find((entry) => entry.startsWith("USER_API_TOKEN="))
      ?.slice(15);
    await using own = followAgent({
      server: url,
      runners: { [session.runner]: { screenshot: system.target.address } },
      token: { value: secret ?? "" },
    });
    const found = (): RunnerView | undefined =>
      system.controlPlane.runners().find(({ id }) => id === session.runner);
    await eventually(
      () => found()?.discovered === false && found()?.fallbackConnections.length === 1,
      "both ways",
    );
    await api(url, "DELETE", `/api/v1/sessions/${session.id}`);
    const { reason } = await own.lost();
    assert.match(reason, /^(kicked: the session has ended|refused: unauthenticated)/);
    await eventually(() => found()?.discovered === true, "the container, until it is stopped");
    engine.remove("c1");
    await eventually(() => found()?.state !== "connected", "its end");
    assert.deepEqual([host.agent.connections, host.events.length], [1, 1]);
  });
});
