/** An agent's process stops: the target of a WebSocket gets a Close frame before the process is gone. */
import assert from "node:assert/strict";
import { afterEach, it } from "node:test";
import { WebSocket } from "ws";
import { via } from "../../support/callers.ts";
import { startAgent } from "../../support/commands.ts";
import { eventually, next } from "../../support/events.ts";
import { startFrameTarget } from "../../support/frame-target.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, isConnected, RUNNER, startControlPlane, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

it("the agent's process says Close to targets before it exits", async () => {
  await using target = await startFrameTarget();
  await using controlPlane = await startControlPlane();
  const origin = `127.0.0.1:${controlPlane.port}`;
  await using agent = startAgent(`http://${origin}`, RUNNER, `${TARGET}=${target.address}`, [
    "--drain",
    "0.1",
  ]);
  await eventually(() => isConnected(controlPlane), "the agent");
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const socket = new WebSocket(`ws://${origin}${via("/")}`, { headers });
  socket.on("error", () => {}); // permanent
  const closed = next<[number]>(socket, "close");
  await next(socket, "open");
  const seen = await target.followed.find(() => true, "the WebSocket at the target");
  assert.equal((await agent.end("SIGTERM")).code, 0);
  assert.deepEqual(await seen.ended, { by: "FIN", partBytes: 0 });
  assert.deepEqual(
    seen.closes.map(({ code }) => code),
    [1001],
  );
  assert.deepEqual((await closed)[0], 1012);
});
