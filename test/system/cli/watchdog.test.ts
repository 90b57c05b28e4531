import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { Command, run, startServe } from "../../support/commands.ts";
import { within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { missing } from "../../support/parts.ts";

after(() => assertNothingOpen());

const CHILD = new URL("./watchdog.child.ts", import.meta.url);
const SPIN_ON_SIGUSR2 = new URL("./watchdog-spin.child.ts", import.meta.url);
/** A watchdog that does not work shows as a child that ends by itself, after a minute. */
const END_MS = 90_000;
const MIB = 1024 * 1024;
/** An endless loop must not take the machine's memory. */
const LITTLE_MEMORY = ["prlimit", `--data=${4 * 1024 * MIB}`];
const LONG_LIMIT = "3600000";

/** How a child has ended, and the fields of its last log line. */
async function ended(child: Command): Promise<Record<string, unknown>> {
  const exit = await within(child.exited, "the end of the child", END_MS);
  const { msg, silentMs, mainThreadCpuMs, rssBytes, level } =
    child.lines.all.at(-1) ?? assert.fail("no line");
  return { ...exit, msg, silentMs, mainThreadCpuMs, rssBytes, level };
}

describe("a process with a watchdog", { concurrency: true }, () => {
  for (const how of ["spin", "regex"]) {
    it(`ends with a report when its main thread is stuck (${how})`, async () => {
      await using child = new Command(CHILD, [how]);
      const { signal, msg, level, silentMs, mainThreadCpuMs } = await ended(child);
      assert.equal(signal, "SIGABRT");
      assert.equal(msg, "watchdog: the main thread is stuck in a loop; ending the process");
      assert.equal(level, 60);
      assert.ok(Number(silentMs) >= 1_000 && Number(mainThreadCpuMs) >= 500);
    });
  }

  for (const how of ["grow", "native"]) {
    it(
      `ends long before its limit when memory grows without limit (${how})`,
      { skip: missing("prlimit") },
      async () => {
        await using child = new Command(CHILD, [how, LONG_LIMIT], { through: LITTLE_MEMORY });
        const { signal, msg, rssBytes } = await ended(child);
        assert.equal(signal, "SIGKILL");
        assert.equal(
          msg,
          "watchdog: the main thread is stuck and memory grows without limit; ending the process",
        );
        assert.ok(Number(rssBytes) > 256 * MIB);
      },
    );
  }

  it("outlives a suspension that is longer than its limit", async () => {
    await using child = new Command(CHILD, ["idle"]);
    await child.output.find((line) => line === "ready", "the child");
    child.signal("SIGSTOP");
    {
      // Another one's limit passes meanwhile.
      await using clock = new Command(CHILD, ["spin"]);
      await ended(clock);
    }
    child.signal("SIGCONT");
    assert.deepEqual(await child.end("SIGTERM"), { code: 0, signal: null });
    assert.equal(child.stderr, "");
  });

  it("outlives a call that blocks without using the CPU, and reports it once", async () => {
    await using child = new Command(CHILD, ["sleep"]);
    await child.output.find((line) => line === "awake", "the end of the call", { timeoutMs: END_MS });
    assert.deepEqual(await child.end("SIGTERM"), { code: 0, signal: null });
    assert.deepEqual(
      child.lines.all.map(({ msg }) => msg),
      ["watchdog: the event loop is stalled; the main thread gets no CPU or is blocked"],
    );
  });

  it("ends also if it has no descriptors left", { skip: missing("prlimit") }, async () => {
    await using child = new Command(CHILD, ["descriptors"], { through: ["prlimit", "--nofile=256"] });
    const { signal, msg } = await ended(child);
    assert.equal(signal, "SIGABRT");
    assert.equal(msg, "watchdog: the main thread is stuck in a loop; ending the process");
  });

  it("reports in the format of its log", async () => {
    await using child = new Command(CHILD, ["spin", "1000", "pretty"]);
    const { msg } = await ended(child);
    assert.match(
      String(msg),
      /^\[\d{4}-.*\] FATAL: watchdog: the main thread is stuck in a loop; ending .*"silentMs":/,
    );
  });

  it("ends also if its report is not read", async () => {
    await using child = new Command(CHILD, ["spin"]);
    child.child.stderr?.destroy();
    const { signal } = await within(child.exited, "the end of the child", END_MS);
    assert.equal(signal, "SIGABRT");
  });

  it(
    "warns at its start that it cannot end process 1 of a container",
    { skip: process.getuid?.() === 0 ? missing("unshare") : "needs root" },
    async () => {
      const through = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
      await using child = new Command(CHILD, ["idle"], { through });
      const { hint } = await child.logged("the watchdog cannot end this process");
      assert.match(String(hint), /init/);
    },
  );
});

describe("--watchdog", () => {
  it("ends a control plane whose main thread is stuck", async () => {
    await using served = await startServe(["--watchdog", "1"], {
      env: { NODE_OPTIONS: `--import ${SPIN_ON_SIGUSR2.href}` },
    });
    served.signal("SIGUSR2");
    const { signal, msg } = await ended(served);
    assert.deepEqual(
      { signal, msg },
      { signal: "SIGABRT", msg: "watchdog: the main thread is stuck in a loop; ending the process" },
    );
  });

  for (const command of ["serve", "agent"] as const) {
    it(`of ${command} refuses a limit that is too short to detect a stall`, async () => {
      const rest =
        command === "agent" ? ["--server", "http://127.0.0.1:1", "--runner", "r", "--target", "t=1"] : [];
      const env = { TURNABOUT_ADMIN_TOKEN: "x", TURNABOUT_TOKEN: "x" };
      const { code, stderr } = await run("turnabout", [command, ...rest, "--watchdog", "0.5"], { env });
      assert.equal(code, 2);
      assert.match(
        stderr,
        /error: --watchdog 0\.5: too short\nhint: use at least 1 second, or 0 to turn it off/,
      );
    });
  }
});
