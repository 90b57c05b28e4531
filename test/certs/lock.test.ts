import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { withLock } from "../../certs/lock.ts";
import { Command } from "../support/commands.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { tempPath } from "../support/temp.ts";

afterEach(() => assertNothingOpen());

function folder(): string {
  const path = tempPath(".d");
  mkdirSync(path);
  return path;
}

describe("the lock of a folder of certificates", () => {
  it("lets one in at a time, also after one that failed", async () => {
    const path = folder();
    let within = 0;
    const enter = async () => {
      within += 1;
      assert.equal(within, 1);
      await new Promise(setImmediate);
      within -= 1;
    };
    const failing = withLock(path, async () => {
      await enter();
      throw new Error("as it happens");
    });
    await Promise.all([
      assert.rejects(failing, /as it happens/),
      withLock(path, enter),
      withLock(path, enter),
    ]);
    await withLock(path, enter);
  });

  it("waits no longer than allowed, and names the holder", async () => {
    const path = folder();
    await withLock(path, async () => {
      await assert.rejects(
        withLock(path, async () => assert.fail("two at once"), 100),
        /lock .*\.lock: another run has been changing this folder for 0\.1 s/,
      );
    });
  });

  it("ends with the process that holds it", async () => {
    const path = folder();
    await using holder = new Command(new URL("./hold-lock.child.ts", import.meta.url), [path]);
    await holder.output.find((line) => line === "held", "the lock in the other process", {
      timeoutMs: 60_000,
    });
    await assert.rejects(
      withLock(path, async () => {}, 100),
      /another run/,
    );
    await holder.end("SIGKILL");
    await withLock(path, async () => {}, 0);
  });

  it("reports where it cannot be created", async () => {
    await assert.rejects(
      withLock(tempPath(".d"), async () => {}),
      /lock .*\.lock: unable to open/,
    );
  });
});
