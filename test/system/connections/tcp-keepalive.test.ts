/** A caller that has vanished without FIN or RST is found by the kernel's probes: nothing else looks at an idle WebSocket. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import net from "node:net";
import { afterEach, it } from "node:test";
import { CALLER_TCP_KEEPALIVE_MS } from "../../../src/control/connections/limits.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startControlPlane } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const TABLE = "/proc/net/tcp";
const ESTABLISHED = "01";
/** Of the column `tr`. */
const KEEPALIVE = "02";
/** USER_HZ. */
const TICKS_PER_S = 100;

/** The kernel's timer of the connection that was accepted at this port: its kind, and seconds until it fires. */
function timerAt(port: number): { kind: string; seconds: number } | undefined {
  const local = port.toString(16).toUpperCase().padStart(4, "0");
  for (const line of readFileSync(TABLE, "latin1").split("\n").slice(1)) {
    const [, from = "", , state, , timer = ""] = line.trim().split(/\s+/);
    if (!from.endsWith(`:${local}`) || state !== ESTABLISHED) continue;
    const [kind = "", ticks = ""] = timer.split(":");
    return { kind, seconds: Number.parseInt(ticks, 16) / TICKS_PER_S };
  }
  return undefined;
}

it("probes the connections of silent callers", { skip: !existsSync(TABLE) }, async () => {
  await using controlPlane = await startControlPlane();
  const { port } = controlPlane;
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  await eventually(() => timerAt(port)?.kind === KEEPALIVE, "the probes");
  const { seconds = 0 } = timerAt(port) ?? {};
  assert.ok(seconds <= CALLER_TCP_KEEPALIVE_MS / 1_000, `${seconds} s`);
  const closed = once(socket, "close");
  socket.destroy();
  await closed;
});
