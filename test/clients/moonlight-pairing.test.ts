/** `pair()` against a Moonlight Web that sends its values as Helix's fork does: nothing ends the PIN but its last byte. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, test } from "node:test";
import { createMoonlightClient } from "../../src/clients/moonlight/client.ts";
import type { MoonlightClient } from "../../src/clients/moonlight/client.ts";
import { MAX_PAIRING_BYTES } from "../../src/clients/moonlight/limits.ts";
import type { PairStep } from "../../src/clients/moonlight/pairing.ts";
import { eventually, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { startHttpTarget } from "../support/target.ts";
import type { TestTarget } from "../support/target.ts";
import { code, reach } from "./reach.ts";
import type { Reached } from "./reach.ts";

type Pairing = AsyncGenerator<PairStep, void, undefined>;

const PIN = { kind: "pin", pin: "1234" };
const HOST = { host_id: 1, name: "Zoë’s 🖥", paired: "Paired", mac: null };

describe("pair()", () => {
  let target: TestTarget;
  let reached: Reached;
  let moonlight: MoonlightClient;
  let opened: ((response: ServerResponse) => void)[] = [];

  beforeEach(async () => {
    target = await startHttpTarget((_request, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson" });
      opened.shift()?.(response);
    });
    reached = await reach("tunnel", "moonlight", target.address);
    moonlight = createMoonlightClient(reached.open, { credentials: "x" });
  });

  afterEach(async () => {
    try {
      await eventually(() => target.sockets.size === 0, "the end of all connections");
    } finally {
      await reached[Symbol.asyncDispose]();
      await target.close();
    }
    await assertNothingOpen();
  });

  /** Both ends of a pairing: its steps, and the response that they come from. */
  async function start(): Promise<{ steps: Pairing; first: Promise<PairStep>; response: ServerResponse }> {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    opened = [resolve];
    const steps = moonlight.pair(1);
    const first = nextOf(steps);
    first.catch(() => {}); // looked at later
    return { steps, first, response: await within(promise, "the request") };
  }

  for (const [result, expected] of [
    [`\n${JSON.stringify({ Paired: HOST })}`, { kind: "paired", host: HOST }],
    ['\n"Paired"', { kind: "paired", host: {} }],
    ['"PairError"', { kind: "failed" }],
    ['\n{"PairError":{"reason":"wrong PIN"}}\n', { kind: "failed" }],
  ] as const) {
    test(`shows the PIN before anything follows it, and ends with ${result.trim().slice(0, 13)}`, async () => {
      const { steps, first, response } = await start();
      response.write('{"Pin":"1234"}');
      assert.deepEqual(await first, PIN);
      // Only now can it have been typed in. The response stays open: the value alone ends the pairing.
      response.write(result);
      assert.deepEqual(await nextOf(steps), expected);
      assert.equal((await within(steps.next(), "the end")).done, true);
    });
  }

  test("gets a result that comes at once, in one chunk with the PIN", async () => {
    const { steps, first, response } = await start();
    response.write('{"Pin":"1234"}"PairError"');
    assert.deepEqual(await first, PIN);
    assert.deepEqual(await nextOf(steps), { kind: "failed" });
    assert.equal((await steps.next()).done, true);
  });

  test("reads values that are cut anywhere, inside a character too", async () => {
    const { steps, first, response } = await start();
    const bytes = Buffer.from(`{"Pin":"1234"}\n${JSON.stringify({ Paired: HOST })}`);
    for (const byte of bytes) {
      await new Promise<void>((resolve) => void response.write(Buffer.from([byte]), () => resolve()));
    }
    assert.deepEqual(await first, PIN);
    assert.deepEqual(await nextOf(steps), { kind: "paired", host: HOST });
    assert.equal((await steps.next()).done, true);
  });

  test("passes on steps that only a newer version knows, and goes on", async () => {
    const { steps, first, response } = await start();
    response.write(
      '{"Waiting":{"s":3}}"Confirm"{"Pin":"1234","expires":9}{"Paired":{"host_id":"h-1","name":null}}',
    );
    assert.deepEqual(await first, { kind: "unknown", name: "Waiting", value: { s: 3 } });
    assert.deepEqual(await nextOf(steps), { kind: "unknown", name: "Confirm", value: undefined });
    assert.deepEqual(await nextOf(steps), PIN);
    assert.deepEqual(await nextOf(steps), { kind: "paired", host: { host_id: "h-1", name: undefined } });
    assert.equal((await steps.next()).done, true);
  });

  test("reports what is no JSON, no step, too much, or no result", async () => {
    for (const [body, expected, isEnded] of [
      ["<html>", "target_protocol", false],
      ["[]", "target_protocol", false],
      ['{"Pin":["1"]}', "target_protocol", false],
      [`"${"x".repeat(MAX_PAIRING_BYTES)}`, "target_protocol", false],
      ["\n".repeat(MAX_PAIRING_BYTES + 1), "target_protocol", false],
      ['{"Pi', "target_protocol", true],
      ["\n", "target_closed", true],
    ] as const) {
      const { first, response } = await start();
      response.write(body);
      if (isEnded) response.end();
      await assert.rejects(first, code(expected), body.slice(0, 20));
    }
    const { steps, first, response } = await start();
    response.end('{"Pin":"1234"}\n');
    assert.deepEqual(await first, PIN);
    await assert.rejects(nextOf(steps), code("target_closed"));
  });
});

async function nextOf(steps: Pairing): Promise<PairStep> {
  const { value } = await within(steps.next(), "a step of the pairing");
  assert.ok(value !== undefined);
  return value;
}
