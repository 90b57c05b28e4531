/**
 * `turnabout serve --supervise`: holds the port, and runs the process that serves on it. If that one dies, callers wait in
 * the socket's queue for the next one. In a container it is what `systemd` is on a host.
 */
import type { Logger } from "../../wire/log.ts";
import { bindPort } from "./bound-port.ts";
import { handOver } from "./hand-over.ts";
import type { Inheritance } from "./inheritance.ts";
import { MAX_FAILED_STARTS, MIN_SERVED_MS, RESTART_DELAY_CAP_MS, RESTART_DELAY_MS } from "./limits.ts";
import { ServeProcess } from "./serve-process.ts";
import type { Exit } from "./serve-process.ts";
import { createNotify } from "./systemd.ts";
import type { Notify } from "./systemd.ts";
import { UpgradeError } from "./upgrade-error.ts";
import { requireDataDirectory, Upgrades } from "./upgrades.ts";
import type { UpgradeSignal } from "./upgrades.ts";

/** The option that makes a process the supervisor; its children get the other ones. */
export const SUPERVISE = "--supervise";

/** As a shell reports an end by a signal. */
const SIGNAL_EXIT_CODES: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 129,
  SIGINT: 130,
  SIGABRT: 134,
  SIGKILL: 137,
  SIGSEGV: 139,
  SIGTERM: 143,
};

export interface SuperviseOptions {
  port: number;
  host: string | undefined;
  dataDirectory: string | undefined;
  inheritance: Inheritance;
  upgradeSignal: UpgradeSignal;
  log: Logger;
}

/** Holds the port until the end. Exits with the status of the process that has served last. */
export async function supervise(options: SuperviseOptions): Promise<never> {
  const { inheritance, port, host, log, upgradeSignal } = options;
  const listenFd = inheritance.listenFd ?? (await bindPort(port, host)).fd;
  const supervisor = new Supervisor(options, listenFd);
  upgradeSignal.handle(() => supervisor.upgrade());
  process.on("SIGHUP", (signal) => supervisor.pass(signal)); // a log rotation; a lost terminal does not end it
  for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, (signal) => supervisor.stop(signal));
  const code = await supervisor.run();
  log.info({ code }, "supervisor: ended");
  return process.exit(code);
}

class Supervisor {
  readonly #options: SuperviseOptions;
  readonly #listenFd: number;
  readonly #log: Logger;
  readonly #notify: Notify;
  readonly #upgrades: Upgrades;
  readonly #ended = Promise.withResolvers<number>();
  /** Those that have a successor, and drain. */
  readonly #retiring = new Set<ServeProcess>();
  #current: ServeProcess | undefined;
  #listenedAt: number | undefined;
  #hasServed = false;
  #failedStarts = 0;
  #restart: NodeJS.Timeout | undefined;
  #exitCode = 0;
  #stopping = false;

  constructor(options: SuperviseOptions, listenFd: number) {
    this.#options = options;
    this.#listenFd = listenFd;
    this.#log = options.log;
    this.#notify = createNotify(options.log, options.inheritance.environment);
    this.#upgrades = new Upgrades(options.log, (signal) => this.#replace(signal));
  }

  /** Resolves with the status to exit with. */
  async run(): Promise<number> {
    this.#serve();
    return this.#ended.promise;
  }

  upgrade(): void {
    void this.#upgrades.request().catch(() => {}); // it has been logged
  }

  /** To every process that serves. */
  pass(signal: NodeJS.Signals): void {
    for (const serving of this.#all()) serving.signal(signal);
  }

  stop(signal: NodeJS.Signals): void {
    if (this.#stopping) {
      for (const serving of this.#all()) serving.send({ type: "stop", atOnce: true });
      return;
    }
    this.#stopping = true;
    this.#log.info({ signal }, "supervisor: stopping; a second signal exits at once");
    void this.#notify("STOPPING=1");
    clearTimeout(this.#restart);
    // Not by a signal: a terminal has sent that to all of them already.
    void this.#upgrades.abort().then(() => {
      const current = this.#current;
      if (current?.running !== true) return this.#finish();
      if (this.#listenedAt === undefined) return current.signal("SIGTERM");
      current.send({ type: "stop", atOnce: false });
    });
  }

  #all(): ServeProcess[] {
    return [...this.#retiring, ...(this.#current === undefined ? [] : [this.#current])];
  }

  /** A process that serves at once: there is none to take over from. */
  #serve(): void {
    let started: ServeProcess;
    try {
      started = this.#start();
    } catch (error) {
      this.#log.error({ err: error }, "supervisor: no process can be started");
      return this.#startFailed(1);
    }
    this.#current = started;
    this.#listenedAt = undefined;
    started.prepared.then(
      () => started.takeOver(),
      () => {},
    );
    started.listening.then(
      () => this.#listens(started),
      () => {},
    );
  }

  #start(): ServeProcess {
    const { NOTIFY_SOCKET: _ours, ...environment } = this.#options.inheritance.environment;
    const started = new ServeProcess({
      args: process.argv.slice(1).filter((arg) => arg !== SUPERVISE),
      environment,
      listenFd: this.#listenFd,
      startedBy: "supervisor",
    });
    const upgrade = (): void => {
      this.#upgrades.request().catch(({ message: reason, hint }: UpgradeError) => {
        started.send({ type: "upgrade-failed", reason, hint });
      });
    };
    started.onUpgradeWanted = upgrade;
    void started.exited.then((exit) => this.#exited(started, exit));
    return started;
  }

  #listens(serving: ServeProcess): void {
    if (serving !== this.#current) return;
    this.#listenedAt = performance.now();
    this.#log.info({ process: serving.pid }, "supervisor: the process serves");
    if (!this.#hasServed) void this.#notify("READY=1");
    this.#hasServed = true;
  }

  async #replace(signal: AbortSignal): Promise<number> {
    requireDataDirectory(this.#options.dataDirectory);
    const incumbent = this.#current;
    if (incumbent === undefined || this.#listenedAt === undefined)
      throw new UpgradeError("no process serves yet", "wait until it listens");
    void this.#notify("RELOADING=1");
    try {
      const successor = this.#start();
      await handOver(incumbent, successor, { signal });
      this.#retiring.add(incumbent);
      if (!incumbent.running) this.#retiring.delete(incumbent);
      this.#current = successor;
      this.#listens(successor);
      incumbent.send({ type: "retire", pid: successor.pid });
      return successor.pid;
    } finally {
      void this.#notify("READY=1");
      // It may have died meanwhile.
      setImmediate(() => {
        if (this.#current === incumbent && !incumbent.running && !this.#stopping) this.#serve();
      });
    }
  }

  #exited(ended: ServeProcess, exit: Exit): void {
    this.#retiring.delete(ended);
    if (this.#stopping) {
      if (ended === this.#current) this.#exitCode = statusOf(exit);
      return this.#finish();
    }
    if (ended !== this.#current || this.#upgrades.running) return;
    const { code, signal } = exit;
    const servedMs = this.#listenedAt === undefined ? 0 : performance.now() - this.#listenedAt;
    this.#log.error({ process: ended.pid, code, signal }, "supervisor: the process has ended");
    if (!this.#hasServed) return this.#ended.resolve(statusOf(exit)); // options that no restart changes
    if (servedMs >= MIN_SERVED_MS) {
      this.#failedStarts = 0;
      return this.#serve();
    }
    this.#startFailed(statusOf(exit));
  }

  #startFailed(code: number): void {
    this.#failedStarts += 1;
    if (this.#failedStarts >= MAX_FAILED_STARTS) {
      this.#log.error({ failedStarts: this.#failedStarts, code }, "supervisor: giving up");
      return this.#ended.resolve(code);
    }
    const delayMs = Math.min(RESTART_DELAY_CAP_MS, RESTART_DELAY_MS * 2 ** (this.#failedStarts - 1));
    this.#log.warn({ delayMs, failedStarts: this.#failedStarts }, "supervisor: next start after a pause");
    this.#restart = setTimeout(() => this.#serve(), delayMs);
  }

  /** When the last of them has ended. */
  #finish(): void {
    if (this.#all().some(({ running }) => running)) return;
    this.#ended.resolve(this.#exitCode);
  }
}

function statusOf({ code, signal }: Exit): number {
  return code ?? (signal === null ? 1 : (SIGNAL_EXIT_CODES[signal] ?? 1));
}
