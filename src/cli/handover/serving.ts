/** A serving process from its first request to its end: signals, upgrades, and what its parent has it do. */
import type { Logger } from "../../wire/log.ts";
import { exitAtOnce, runUntilSignal } from "../lifecycle.ts";
import { ControlSocket } from "./control-socket.ts";
import { handOver } from "./hand-over.ts";
import type { Incumbent } from "./hand-over.ts";
import type { Inheritance } from "./inheritance.ts";
import type { Parent } from "./parent.ts";
import { ServeProcess } from "./serve-process.ts";
import { createNotify, isNotified } from "./systemd.ts";
import { UpgradeError } from "./upgrade-error.ts";
import { requireDataDirectory, Upgrades } from "./upgrades.ts";
import type { UpgradeSignal } from "./upgrades.ts";

/** What it needs of a control plane. */
export interface Handable {
  /** The descriptor of the listening socket; undefined if it does not listen any more. */
  listenFd(): number | undefined;
  /** Closes the store and frees its lock; tunnels go on. */
  releaseStore(): void;
  reopenStore(): Promise<void>;
  /** A log rotation has moved the access log's file away. */
  reopenAccessLog(): void;
  /** @param options.successor another process listens on the same socket already */
  close(options?: { successor?: boolean; drainMs?: number | undefined }): Promise<void>;
}

export interface Serving {
  controlPlane: Handable;
  dataDirectory: string | undefined;
  inheritance: Inheritance;
  /** Undefined if it was started by hand or by a service manager. */
  parent: Parent | undefined;
  upgradeSignal: UpgradeSignal;
  log: Logger;
  /** From here on a signal drains. Who starts it may send one as soon as it is reported to listen. */
  onSignalsHandled: () => void;
  /** When the control plane has closed. */
  onEnd?: () => Promise<void> | undefined;
}

/** Reports that the control plane listens. Resolves, or exits, when it has ended. */
export async function serveUntilEnd(serving: Serving): Promise<void> {
  const { controlPlane, dataDirectory, inheritance, parent, upgradeSignal, log } = serving;
  const supervisor = parent?.startedBy === "supervisor" ? parent : undefined;
  const ending = new AbortController();
  const notify = createNotify(log);
  let successor = false;
  let notified = Promise.resolve();

  const upgrades = new Upgrades(log, upgradeItself);
  const upgrade = (): Promise<number> =>
    supervisor === undefined ? upgrades.request() : supervisor.upgrade();
  const socket = new ControlSocket(dataDirectory, upgrade, log);
  const incumbent: Incumbent = {
    async release() {
      socket.close(); // the successor has one at the same path
      controlPlane.releaseStore();
    },
    async reopen() {
      await controlPlane.reopenStore();
      await socket.listen();
    },
  };

  process.on("SIGHUP", () => controlPlane.reopenAccessLog());
  const ended = runUntilSignal(log, end, ending.signal);
  const ready = socket.listen();
  upgradeSignal.handle(() => void ready.then(upgrade).catch(() => {})); // it has been logged
  serving.onSignalsHandled();
  await ready;
  supervisor?.follow({
    ...incumbent,
    end(how) {
      if (how === "at once") exitAtOnce(1);
      successor = how === "retired";
      ending.abort();
    },
  });
  parent?.listening();
  if (parent === undefined) notified = notify("READY=1"); // of a successor its predecessor says so
  await ended;

  async function upgradeItself(signal: AbortSignal): Promise<number> {
    requireDataDirectory(dataDirectory);
    if (isNotified())
      log.warn(
        {},
        "upgrade: systemd does not wait for a main process that another one has started; see --supervise",
      );
    void notify("RELOADING=1");
    try {
      const started = startSuccessor();
      await handOver(incumbent, started, { signal });
      started.letGo();
      successor = true;
      notified = notify("READY=1", `MAINPID=${started.pid}`);
      setImmediate(() => ending.abort()); // the outcome is reported before
      return started.pid;
    } catch (error) {
      notified = notify("READY=1");
      throw error;
    }
  }

  function startSuccessor(): ServeProcess {
    const listenFd = controlPlane.listenFd();
    if (listenFd === undefined) throw new UpgradeError("the port is closed already", "start a new process");
    return new ServeProcess({
      args: process.argv.slice(1),
      environment: inheritance.environment,
      listenFd,
      startedBy: "upgrade",
    });
  }

  async function end(drainMs?: number): Promise<void> {
    if (!successor) notified = notify("STOPPING=1");
    await upgrades.abort();
    socket.close();
    await controlPlane.close({ successor, drainMs });
    await serving.onEnd?.();
    await notified;
  }
}
