/** Agents that report or connect without limit, beside one that does not. */
import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import {
  AGENT_CHANGES_BURST,
  AGENT_LINES_PER_MINUTE,
  MAX_INVALID_EVENTS,
  RUNNER_SHORT_CONNECTIONS_BURST,
} from "../../../src/control/limits.ts";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { assertEchoes, keptLog } from "../../support/agents.ts";
import type { KeptLine } from "../../support/agents.ts";
import type { EventLog } from "../../support/event-log.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { upgradeRequest } from "../../support/relays.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { isConnected, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const EVIL = "evil";
/** Of a flood: the control plane is in the same process. */
const PIECES_PER_TURN = 16;

interface Stand extends AsyncDisposable {
  system: System;
  events: RegistryEvent[];
  lines: EventLog<KeptLine>;
}

async function start(): Promise<Stand> {
  const events: RegistryEvent[] = [];
  const { log, lines } = keptLog();
  const tokens = ["one", "two"].map((id) => ({
    id,
    kind: "runner" as const,
    sha256: hashToken(id),
    runners: ["*"],
  }));
  const onEvent = (event: RegistryEvent): void => void events.push(event);
  const system = await startSystem({ controlPlane: { log, onEvent, tokens } });
  return { system, events, lines, [Symbol.asyncDispose]: () => system.close() };
}

/** Writes pieces as long as they are read. Returns how many were written. */
function flood(stream: ServerHttp2Stream, piece: (n: number) => string): () => number {
  let written = 0;
  const more = (): void => {
    for (let n = 0; n < PIECES_PER_TURN; n += 1) {
      if (stream.destroyed || stream.closed) return;
      written += 1;
      if (!stream.write(piece(written))) return void stream.once("drain", more);
    }
    setImmediate(more);
  };
  more();
  return () => written;
}

const line = (value: object): string => `${JSON.stringify(value)}\n`;
const added = (id: string, target = "t"): string =>
  line({ type: "runner-added", runner: { id, targets: [{ name: target }] } });
const removed = (id: string): string => line({ type: "runner-removed", id });

describe("an agent whose /events have no end", () => {
  const endless: [string, (n: number) => string, number][] = [
    ["runners that come and go", (n) => added(`new-${n}`) + removed(`new-${n}`), 10_000],
    ["a runner that comes and goes", () => added("flaps") + removed("flaps"), 10_000],
    ["new targets of a runner", (n) => added(EVIL, `t${n % 50}`), 10_000],
    ["empty lines", () => "\n".repeat(10_000), 200],
    ["types of another version", () => "{}\n".repeat(1_000), 20],
  ];
  for (const [what, piece, pieces] of endless) {
    it(`is read and applied at a bounded rate, and others are served: ${what}`, async () => {
      await using stand = await start();
      const { system, events, lines } = stand;
      let written = (): number => 0;
      await using _agent = await startScriptedAgent(system.controlPlane, {
        capabilities: ["events"],
        runner: EVIL,
        onStream: (stream) => {
          stream.respond({ ":status": 200 });
          written = flood(stream, piece);
        },
      });
      await eventually(() => written() >= pieces, "a flood");
      for (let n = 0; n < 5; n += 1) await assertEchoes(system.controlPlane.dial);
      const before = written();
      assert.ok(before < 2_000_000, `${before} written`);
      const own = events.filter(({ runner }) => runner !== "runner-1");
      // Each change may be two events; some more are allowed meanwhile.
      assert.ok(own.length <= 2 * (AGENT_CHANGES_BURST + 100), `${own.length} events`);
      assert.ok(lines.all.length <= AGENT_LINES_PER_MINUTE + 50, `${lines.all.length} lines`);
      assert.ok(isConnected(system.controlPlane, EVIL));
    });
  }

  const invalid: [string, (n: number) => string][] = [
    ["no JSON", () => "{}x\n".repeat(1_000)],
    ["names that are not valid", (n) => removed(`NOT VALID ${n}`)],
  ];
  for (const [what, piece] of invalid) {
    it(`is closed where they are not valid: ${what}`, async () => {
      await using stand = await start();
      const { system, lines } = stand;
      const goaway: string[] = [];
      await using _agent = await startScriptedAgent(system.controlPlane, {
        capabilities: ["events"],
        runner: EVIL,
        onStream: (stream) => {
          stream.session?.on("goaway", (_code, _last, data) => goaway.push(String(data)));
          stream.respond({ ":status": 200 });
          flood(stream, piece);
        },
      });
      await eventually(() => !isConnected(system.controlPlane, EVIL), "its end");
      assert.match(goaway[0] ?? "", /"refused","message":"tunnel_protocol: /);
      const refused = lines.all.filter(({ message }) => message === "agent event refused");
      assert.equal(refused.length, MAX_INVALID_EVENTS);
      await assertEchoes(system.controlPlane.dial);
    });
  }
});

describe("an agent whose containers all start at once", () => {
  it("is not held up", async () => {
    await using stand = await start();
    const { system, events } = stand;
    await using _agent = await startScriptedAgent(system.controlPlane, {
      capabilities: ["events"],
      runner: EVIL,
      onStream: (stream) => {
        stream.respond({ ":status": 200 });
        for (let n = 0; n < 255; n += 1) stream.write(added(`container-${n}`));
        for (let round = 0; round < 3; round += 1) {
          for (let n = 0; n < 255; n += 1) stream.write(added(`container-${n}`, `t${round}`));
        }
      },
    });
    const last = (): boolean =>
      system.controlPlane.runners().find(({ id }) => id === "container-254")?.info?.targets[0]?.name === "t2";
    await eventually(last, "the last change");
    assert.ok(events.length >= 256);
    assert.equal(system.controlPlane.runners().filter(({ state }) => state === "connected").length, 257);
  });
});

describe("an agent that connects without end", () => {
  /** Sends an upgrade request, reads the header of the response, and disconnects. */
  async function connect(port: number, runner: string, token: string): Promise<string> {
    const socket = net.connect({ port, host: "127.0.0.1" });
    socket.on("error", () => {}); // permanently
    const fields = { Authorization: `Bearer ${token}` };
    socket.write(upgradeRequest(fields, `/api/v1/revdial?runnerid=${runner}`));
    const [chunk] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return chunk.toString("latin1");
  }

  it("is refused with 429 and Retry-After; agents of other runners and credentials are not", async () => {
    await using stand = await start();
    const { system, lines } = stand;
    const { port } = system.controlPlane;
    let response = "";
    let attempts = 0;
    while (!response.startsWith("HTTP/1.1 429 ") && attempts < 20 * RUNNER_SHORT_CONNECTIONS_BURST) {
      response = await connect(port, EVIL, "one");
      attempts += 1;
    }
    assert.match(response, /^HTTP\/1\.1 429 [^]*^retry-after: \d{1,2}\r$/im);
    assert.match(response, /"code":"rate_limited"/);
    assert.match(await connect(port, EVIL, "two"), /^HTTP\/1\.1 101 /, "another credential");
    assert.match(await connect(port, "other", "one"), /^HTTP\/1\.1 101 /, "another runner");
    const before = lines.length;
    for (let n = 0; n < 200; n += 1) await connect(port, EVIL, "one");
    assert.ok(lines.length - before <= 100, `${lines.length - before} lines`);
    await system.addAgent({ honest: { echo: system.target.address } }, { token: { value: "one" } });
    await assertEchoes(system.controlPlane.dial, "honest", "echo");
  });
});
