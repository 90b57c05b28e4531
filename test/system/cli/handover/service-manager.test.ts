/** What systemd is told (sd_notify(3)): here by `systemd-notify` to a notification socket of the test's. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { run, startServe } from "../../../support/commands.ts";
import { within } from "../../../support/events.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { missing } from "../../../support/parts.ts";
import { endProcess, gone, listener } from "../../../support/processes.ts";
import { ServiceManager } from "../../../support/service-manager.ts";
import { tempPath } from "../../../support/temp.ts";

afterEach(() => assertNothingOpen());

describe(
  "a service manager with a notification socket",
  { skip: missing("python3", "systemd-notify") },
  () => {
    it("is told when the control plane serves, of its new main process, and of its end", async () => {
      await using manager = await ServiceManager.start();
      const data = tempPath("-data");
      await using serve = await startServe(["--data-dir", data], { env: { NOTIFY_SOCKET: manager.path } });
      await manager.messages.find((line) => line === "READY=1", "READY=1");
      assert.equal((await run("turnabout", ["upgrade", "--data-dir", data])).code, 0);
      await using successor = await listener(serve, 2);
      const main = `READY=1 MAINPID=${successor.pid}`;
      await manager.messages.find((line) => line === main, main);
      endProcess(successor.pid, "SIGTERM");
      await within(serve.exited, "the end of both", 60_000);
      assert.deepEqual(manager.received, ["READY=1", "RELOADING=1", main, "STOPPING=1"]);
      await serve.logged(/see --supervise$/);
    });

    it("sees one main process where there is a supervisor", async () => {
      await using manager = await ServiceManager.start();
      const data = tempPath("-data");
      const args = ["--supervise", "--data-dir", data];
      await using supervisor = await startServe(args, { env: { NOTIFY_SOCKET: manager.path } });
      await using first = await listener(supervisor, 1);
      await manager.messages.find((line) => line === "READY=1", "READY=1");
      supervisor.signal("SIGUSR2");
      await using _second = await listener(supervisor, 2);
      await gone(first.pid);
      await manager.messages.findNth(2, (line) => line === "READY=1", "READY=1");
      assert.equal((await supervisor.end()).code, 0);
      assert.deepEqual(manager.received, ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]);
    });
  },
);
