/** Two control planes on a real NATS server: a request at the one that does not have the runner. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { createAgent } from "../../../src/agent/agent.ts";
import { createCluster, directoryOn, NatsKeyValue } from "../../../src/cluster/index.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import { silentLogger } from "../../../src/wire/log.ts";
import { eventually, within } from "../../support/events.ts";
import { call, targetUrl } from "../../support/http.ts";
import { startNats } from "../../support/nats.ts";
import { CLUSTER_SECRET } from "../../support/nodes.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { missing } from "../../support/parts.ts";
import { ADMIN_TOKEN, isConnected, RUNNER, startControlPlane } from "../../support/system.ts";
import { refusingAddress, startHttpTarget } from "../../support/target.ts";

after(() => assertNothingOpen());

interface Member extends AsyncDisposable {
  controlPlane: ControlPlane;
  url: string;
}

async function startMember(nodeId: string, server: string): Promise<Member> {
  const address = await refusingAddress();
  const url = `http://${address}`;
  const keyValue = new NatsKeyValue({
    servers: [server],
    bucket: "turnabout",
    name: nodeId,
    log: silentLogger,
  });
  const node = { nodeId, url };
  const controlPlane = await startControlPlane({
    port: Number(new URL(url).port),
    cluster: createCluster({
      ...node,
      secret: CLUSTER_SECRET,
      allowPlaintext: true,
      createDirectory: directoryOn(keyValue, node),
    }),
  });
  return {
    controlPlane,
    url,
    [Symbol.asyncDispose]: async () => {
      await controlPlane.close();
      await keyValue.close();
    },
  };
}

describe("control planes on NATS", { skip: missing("nats-server") }, () => {
  it("reach each other's agents, and are ready", async () => {
    await using nats = await startNats();
    await using target = await startHttpTarget((_request, response) => response.end("reached"));
    await using first = await startMember("node-1", nats.url);
    await using second = await startMember("node-2", nats.url);
    const agent = createAgent({
      server: second.url,
      token: { value: ADMIN_TOKEN },
      runners: { [RUNNER]: { web: target.address } },
      connections: 1,
    });
    await within(agent.connected(), "the agent");
    await eventually(() => isConnected(first.controlPlane), "the runner is usable at the first node");
    for (const { url } of [first, second]) {
      const { status, body } = await call(targetUrl(url, RUNNER, "web"));
      assert.equal(`${status} ${body}`, "200 reached");
      assert.equal((await call(`${url}/readyz`, { token: null })).status, 200);
    }
    await agent.close();
  });
});
