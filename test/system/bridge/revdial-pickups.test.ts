/** Pick-ups of RevDial clients: which count, and what follows on those that do not come. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { MAX_STREAMS } from "../../../src/control/revdial/limits.ts";
import { openCaller, via } from "../../support/callers.ts";
import { EventLog } from "../../support/event-log.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RevDialClient } from "../../support/revdial-client.ts";
import { RUNNER } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import { startRevDial, TARGET } from "./revdial-stand.ts";

afterEach(() => assertNothingOpen());

describe("a pick-up", () => {
  it("counts once, only with the client's credential, and only while its dial waits", async () => {
    const paths = new EventLog<string>();
    await using stand = await startRevDial({ onDial: (path) => paths.push(path) });
    const { system, client } = stand;
    const dialled = system.controlPlane.dial(RUNNER, TARGET);
    const path = await paths.find(() => true, "a dial");
    const url = client.pickupUrl(path);
    assert.equal(await RevDialClient.refusal(url, "theirs"), 403, "another credential");
    assert.equal(await RevDialClient.refusal(url, "x"), 401);
    assert.equal(await RevDialClient.refusal(`${url}&revdial.dialer=${"0".repeat(32)}`, "ours"), 400, "two");
    await client.pickUp(path);
    const socket = await dialled;
    assert.equal(await RevDialClient.refusal(url, "ours"), 404, "used");
    socket.destroy();
    const aborter = new AbortController();
    const aborted = system.controlPlane.dial(RUNNER, TARGET, { signal: aborter.signal });
    const second = await paths.find(() => true, "the next dial", { from: 1 });
    aborter.abort();
    await assert.rejects(aborted, { code: "aborted" });
    assert.equal(await RevDialClient.refusal(client.pickupUrl(second), "ours"), 404, "its caller has left");
    assert.equal(await RevDialClient.refusal(client.pickupUrl("/revdial?revdial.dialer=x"), "ours"), 404);
  });

  it("that fails ends its dial alone, with the client's reason", async () => {
    const paths = new EventLog<string>();
    await using stand = await startRevDial({ onDial: (path) => paths.push(path) });
    const { system, client } = stand;
    const failing = system.controlPlane.dial(RUNNER, TARGET);
    const other = system.controlPlane.dial(RUNNER, TARGET);
    await paths.find(() => true, "the second dial", { from: 1 });
    const [first = "", second = ""] = paths.all;
    const err = `no route to host\n${"x".repeat(5_000)}`;
    client.send(JSON.stringify({ command: "pickup-failed", connPath: first, err }));
    await assert.rejects(failing, (error: Error & { code: string }) => {
      assert.equal(error.code, "tunnel_lost");
      assert.match(error.message, /could not pick it up: "no route to host\\nx+"$/);
      assert.ok(error.message.length < 400);
      return true;
    });
    await client.pickUp(second);
    (await other).destroy();
  });

  it("is announced for a bounded number of dials; further ones are refused at once", async () => {
    const paths = new EventLog<string>();
    const graceMs = 50;
    await using stand = await startRevDial({ onDial: (path) => paths.push(path) }, { graceMs });
    const { system, client } = stand;
    const codes = new EventLog<string>();
    const dials = Array.from({ length: MAX_STREAMS + 50 }, async () => {
      const error: unknown = await system.controlPlane.dial(RUNNER, TARGET).catch((cause: unknown) => cause);
      codes.push((error as { code: string }).code);
    });
    await codes.findNth(50, (code) => code === "overloaded", "refusals");
    await paths.findNth(MAX_STREAMS, () => true, "the other dials");
    client.kill();
    await Promise.all(dials);
    assert.equal(paths.length, MAX_STREAMS);
    assert.deepEqual(new Set(codes.all), new Set(["overloaded", "runner_offline"]));
  });

  it("whose client is lost is waited for again, on the next connection", async () => {
    const paths = new EventLog<string>();
    await using stand = await startRevDial({ onDial: (path) => paths.push(path) });
    const { system, client } = stand;
    await using caller = await openCaller("HTTP/2 by prior knowledge", system);
    // Of a method that is repeated only where the target has surely seen nothing.
    const response = caller.call({ method: "POST", path: via("/", TARGET) });
    await paths.find(() => true, "the dial");
    client.kill();
    const target = await startHttpTarget((_request, response) => response.end("here again"));
    await stand.connect(target);
    assert.equal((await response).text, "here again");
  });
});
