import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { parseAgentEvent } from "./agent-events.ts";
import { TurnaboutError } from "../errors.ts";
import { parseHello, parseRunner } from "./hello.ts";
import { MAX_RUNNERS_PER_CONNECTION, MAX_TARGETS_PER_RUNNER } from "../limits.ts";

const GOOD = {
  protocol: 1,
  version: "1.2.3",
  instance: "abc",
  bootEpochMs: 5,
  capabilities: ["websocket", "from-the-future"],
  runners: [{ id: "wolf-1", targets: [{ name: "wolf", http: "1.0" }, { name: "other" }] }],
};

function isProtocolError(error: unknown): boolean {
  return error instanceof TurnaboutError && error.code === "tunnel_protocol";
}

/** Objects that are nearly right: the fields have the right names and random values. */
const nearlyHello = fc.record(
  {
    protocol: fc.oneof(fc.constant(1), fc.jsonValue()),
    version: fc.oneof(fc.constant("1"), fc.jsonValue()),
    instance: fc.oneof(fc.constant("i"), fc.jsonValue()),
    bootEpochMs: fc.jsonValue(),
    standby: fc.jsonValue(),
    streamsPerTarget: fc.jsonValue(),
    capabilities: fc.jsonValue(),
    runners: fc.oneof(
      fc.jsonValue(),
      fc.array(
        fc.oneof(
          fc.jsonValue(),
          fc.record({ id: fc.oneof(fc.constant("a"), fc.jsonValue()), targets: fc.jsonValue() }),
        ),
      ),
    ),
  },
  { requiredKeys: [] },
);

describe("/hello", () => {
  it("is understood with unknown fields and without optional ones", () => {
    const hello = parseHello({ ...GOOD, future: { deep: [1] } });
    assert.deepEqual(hello.runners, [
      {
        id: "wolf-1",
        targets: [
          { name: "wolf", http: "1.0" },
          { name: "other", http: "auto" },
        ],
      },
    ]);
    assert.deepEqual(hello.capabilities, ["websocket", "from-the-future"]);
    const { bootEpochMs: _boot, capabilities: _capabilities, ...least } = GOOD;
    assert.deepEqual([parseHello(least).bootEpochMs, parseHello(least).capabilities], [0, []]);
    assert.equal(parseHello({ ...GOOD, protocol: 99 }).protocol, 99);
    assert.equal(parseHello(GOOD).streamsPerTarget, 512);
    for (const announced of [1, 586, 1e300]) {
      const { streamsPerTarget } = parseHello({ ...GOOD, streamsPerTarget: announced });
      assert.equal(streamsPerTarget, Math.min(announced, 65_536));
    }
  });

  it("accepts only a host for a target that a Host field can have", () => {
    const hostOf = (host: unknown): string | undefined =>
      parseHello({ ...GOOD, runners: [{ id: "a", targets: [{ name: "t", host }] }] }).runners[0]?.targets[0]
        ?.host;
    for (const host of ["vm:33801", "app.example", "[::1]:80", "x".repeat(255)])
      assert.equal(hostOf(host), host);
    for (const host of [
      1,
      null,
      "",
      "vm:0",
      "a b",
      "vm\r\nx: y",
      "u@vm",
      "vm/",
      "vm,vm",
      "é",
      "x".repeat(262),
    ]) {
      assert.equal(hostOf(host), undefined, String(host));
    }
  });

  it("has the agent's start time only if it is a time", () => {
    for (const bootEpochMs of [1e300, -1, -1e300, 8.64e15 + 1, NaN, Infinity, null]) {
      assert.equal(parseHello({ ...GOOD, bootEpochMs }).bootEpochMs, 0, String(bootEpochMs));
    }
    assert.equal(parseHello({ ...GOOD, bootEpochMs: 1.5 }).bootEpochMs, 2);
    assert.doesNotThrow(() =>
      new Date(parseHello({ ...GOOD, bootEpochMs: 8.64e15 }).bootEpochMs).toISOString(),
    );
  });

  it("survives its own JSON", () => {
    const hello = parseHello(GOOD);
    assert.deepEqual(parseHello(JSON.parse(JSON.stringify(hello))), hello);
  });

  it("names the field that is wrong", () => {
    const bad: [string, object][] = [
      ["hello.protocol", { protocol: 0 }],
      ["hello.protocol", { protocol: "1" }],
      ["hello.protocol", { protocol: 1e300 }],
      ["hello.version", { version: "" }],
      ["hello.instance", { instance: "x".repeat(129) }],
      ["hello.capabilities", { capabilities: {} }],
      ["hello.runners", { runners: undefined }],
      ["runner.id", { runners: [{ id: "Wolf" }] }],
      ["hello.standby", { standby: "yes" }],
      ["hello.standby", { standby: 1 }],
      ["hello.bootEpochMs", { bootEpochMs: "5" }],
      ["hello.streamsPerTarget", { streamsPerTarget: 0 }],
      ["hello.streamsPerTarget", { streamsPerTarget: 1.5 }],
      ["hello.streamsPerTarget", { streamsPerTarget: "5" }],
      ["hello.capabilities", { capabilities: ["websocket", 5] }],
      ["hello.capabilities", { capabilities: ["x".repeat(129)] }],
      ["hello.runners", { runners: [{ id: "a" }, { id: "b" }, { id: "a" }] }],
      ["runner.targets", { runners: [{ id: "a", targets: [{ name: "t" }, { name: "t" }] }] }],
      ["runner.discovered", { runners: [{ id: "a", discovered: "true" }] }],
      ["target.name", { runners: [{ id: "a", targets: [{ name: "a.b" }] }] }],
    ];
    for (const [field, change] of bad) {
      assert.throws(
        () => parseHello({ ...GOOD, ...change }),
        (error) => {
          return isProtocolError(error) && (error as Error).message.includes(field);
        },
      );
    }
  });

  it("has a limit of runners and of targets", () => {
    const runner = (targets: number) => ({
      id: "a",
      targets: Array.from({ length: targets }, (_, n) => ({ name: `t${n}` })),
    });
    assert.equal(parseRunner(runner(MAX_TARGETS_PER_RUNNER)).targets.length, MAX_TARGETS_PER_RUNNER);
    assert.throws(() => parseRunner(runner(MAX_TARGETS_PER_RUNNER + 1)), isProtocolError);
    const runners = Array.from({ length: MAX_RUNNERS_PER_CONNECTION + 1 }, (_, n) => ({ id: `r${n}` }));
    assert.throws(() => parseHello({ ...GOOD, runners }), isProtocolError);
  });

  it("throws nothing but our error, whatever JSON it gets", () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), nearlyHello), (value) => {
        try {
          parseHello(value);
        } catch (error) {
          assert.ok(isProtocolError(error), String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("a line of /events", () => {
  it("is one of the known events, or undefined for a type from the future", () => {
    const runner = { id: "a", targets: [{ name: "t", http: "auto" }] };
    const grpc = { id: "b", targets: [{ name: "t", http: "2" }] };
    for (const event of [
      { type: "runner-added", runner },
      { type: "runner-added", runner: grpc },
      { type: "runner-removed", id: "a" },
      { type: "target-health", runner: "a", target: "t", healthy: false },
    ]) {
      assert.deepEqual(parseAgentEvent(JSON.stringify(event)), event);
    }
    assert.equal(parseAgentEvent('{"type":"from-the-future"}'), undefined);
  });

  it("throws nothing but our error or a SyntaxError, whatever it is", () => {
    const type = fc.constantFrom("runner-added", "runner-removed", "target-health", "other");
    const nearly = fc.record({ type, runner: fc.jsonValue(), id: fc.jsonValue(), target: fc.jsonValue() });
    const line = fc.oneof(
      fc.string(),
      fc.oneof(fc.jsonValue(), nearly).map((value) => JSON.stringify(value)),
    );
    fc.assert(
      fc.property(line, (text) => {
        try {
          parseAgentEvent(text);
        } catch (error) {
          assert.ok(isProtocolError(error) || error instanceof SyntaxError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});
