/** Large bodies through real processes: unchanged, and never held in memory. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterEach, describe, it } from "node:test";
import { createWolfDouble } from "../../src/demo/wolf/double.ts";
import { blobChunks, blobSha256 } from "../../src/demo/wolf/routes/double-own.ts";
import { openCaller, PLAINTEXT_CALLERS } from "../support/callers.ts";
import type { Caller, CallerKind } from "../support/callers.ts";
import { startAgent, startServe } from "../support/commands.ts";
import type { Command } from "../support/commands.ts";
import { viaWolf, WOLF_RUNNER } from "../support/doubles.ts";
import { ending, next, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { tempPath } from "../support/temp.ts";

afterEach(() => assertNothingOpen());

const BYTES: number = 160 * 1024 * 1024;
/** Windows, buffers and garbage that V8 has not collected yet; a body that is held would be above. */
const MOST_GROWTH_BYTES: number = 130 * 1024 * 1024;
const TIMEOUT_MS = 60_000;

/** The most memory that a process has ever had, from the kernel. */
function peakBytes({ pid }: Command): number {
  const kib = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * 1024;
}

async function withProcesses(
  kind: CallerKind,
  run: (caller: Caller, controlPlane: Command, agent: Command) => Promise<void>,
): Promise<void> {
  await using wolf = await createWolfDouble({ socketPath: tempPath() });
  await using serve = await startServe();
  await using agent = startAgent(serve.url, WOLF_RUNNER, `wolf=unix:${wolf.socketPath}`);
  await serve.logged("agent connected");
  await using caller = await openCaller(kind, { controlPlane: serve, pki: undefined });
  await run(caller, serve, agent);
}

/** Fails if a process has grown by more than a body may take. */
async function bounded(processes: readonly Command[], act: () => Promise<void>): Promise<void> {
  const before = processes.map(peakBytes);
  await act();
  for (const [i, process] of processes.entries()) {
    const growth = peakBytes(process) - (before[i] ?? 0);
    assert.ok(growth < MOST_GROWTH_BYTES, `process ${i} has grown by ${Math.round(growth / 1024 ** 2)} MiB`);
  }
}

for (const kind of PLAINTEXT_CALLERS) {
  describe(
    `160 MiB over ${kind}`,
    { skip: process.platform === "linux" ? false : "/proc is Linux's" },
    () => {
      it("come down unchanged, in bounded memory", () =>
        withProcesses(kind, async (caller, controlPlane, agent) => {
          await caller.call({ path: viaWolf("/api/v1/apps") });
          await bounded([controlPlane, agent], async () => {
            const call = caller.open({ path: viaWolf(`/double/blob?bytes=${BYTES}`) });
            call.request.end();
            const { body } = await within(call.response, "the header");
            const hash = createHash("sha256");
            await within(pipeline(body, hash), "the whole body", TIMEOUT_MS);
            assert.equal(hash.digest("hex"), blobSha256(BYTES));
          });
        }));

      it("go up unchanged, in bounded memory", () =>
        withProcesses(kind, async (caller, controlPlane, agent) => {
          await caller.call({ path: viaWolf("/api/v1/apps") });
          await bounded([controlPlane, agent], async () => {
            const headers = { "content-length": BYTES };
            const call = caller.open({ method: "POST", path: viaWolf("/double/sink"), headers });
            Readable.from(blobChunks(BYTES)).pipe(call.request);
            const { body } = await within(call.response, "Wolf's receipt", TIMEOUT_MS);
            const { data } = await ending(body);
            assert.deepEqual(JSON.parse(data.toString()), { bytes: BYTES, sha256: blobSha256(BYTES) });
          });
        }));

      it("end as an error when the agent's process is killed in the middle", () =>
        withProcesses(kind, async (caller, _controlPlane, agent) => {
          const call = caller.open({ path: viaWolf(`/double/blob?bytes=${BYTES}`) });
          call.request.end();
          const { body } = await within(call.response, "the header");
          await next(body, "data");
          const end = ending(body);
          agent.signal("SIGKILL");
          const { kind: how, data } = await end;
          assert.equal(how, "error");
          assert.ok(data.length < BYTES);
        }));
    },
  );
}
