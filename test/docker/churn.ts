/** Containers that start and stop at random, and a check that exactly the running ones are announced. */
import type Docker from "dockerode";

/** The announcements may lag behind the containers for so long. */
export const LAG_MS = 2_000;
const LOOK_EVERY_MS = 50;
/** Of each container between two of its changes. */
const MOST_PAUSE_MS = 3_000;

export interface ChurnOptions {
  /** The engine in which the containers are. */
  docker: Docker;
  image: string;
  /** What runs in them until they are stopped. */
  command: string[];
  count: number;
  durationMs: number;
  /** Runner ids that the control plane has connected at this moment. */
  announced: () => Iterable<string> | Promise<Iterable<string>>;
  /** Allowed lag. Default {@link LAG_MS}. */
  lagMs?: number;
  /** Prefix of the containers' runner ids; nothing else may have it. */
  prefix?: string;
  /** Further settings of each container. */
  hostConfig?: Docker.HostConfig;
}

export interface ChurnReport {
  starts: number;
  stops: number;
  looks: number;
  /** The longest time for which a runner was announced and not running, or the other way round. */
  longestLagMs: number;
  /** Runners that were wrong for longer than allowed, with the reason. */
  wrong: string[];
}

/** Leaves no container behind. @throws Error if the engine fails at something */
export async function churn(options: ChurnOptions): Promise<ChurnReport> {
  const { docker, count, durationMs, prefix = "sandbox-churn-" } = options;
  const report: ChurnReport = { starts: 0, stops: 0, looks: 0, longestLagMs: 0, wrong: [] };
  const ids = Array.from({ length: count }, (_, n) => `${prefix}${n}`);
  const containers = new Map<string, Docker.Container>();
  for (const id of ids) {
    containers.set(
      id,
      await docker.createContainer({
        Image: options.image,
        Cmd: options.command,
        Labels: { "turnabout.runner": id, "turnabout.target.screenshot": "9876" },
        ...(options.hostConfig !== undefined && { HostConfig: options.hostConfig }),
      }),
    );
  }
  const end = performance.now() + durationMs;
  let isOver = false;
  const watching = watch(options, ids, report, () => isOver);
  try {
    await Promise.all([...containers.values()].map((container) => live(container, end, report)));
    await pause(options.lagMs ?? LAG_MS); // the last changes are judged, too
  } finally {
    isOver = true;
    await watching;
    await Promise.allSettled(
      [...containers.values()].map((container) => container.remove({ force: true, v: true })),
    );
  }
  return report;
}

async function live(container: Docker.Container, end: number, report: ChurnReport): Promise<void> {
  let isRunning = false;
  while (performance.now() < end) {
    await pause(Math.random() * MOST_PAUSE_MS);
    if (isRunning) {
      await (Math.random() < 0.5 ? container.kill() : container.stop({ t: 0 }));
      report.stops += 1;
    } else {
      await container.start();
      report.starts += 1;
    }
    isRunning = !isRunning;
  }
}

async function watch(
  { docker, announced, lagMs: mostMs = LAG_MS }: ChurnOptions,
  ids: readonly string[],
  report: ChurnReport,
  isOver: () => boolean,
): Promise<void> {
  const wrongSince = new Map<string, number>();
  while (!isOver()) {
    // Read before and after the announcements: a change in between is not wrong yet.
    const before = await running(docker);
    const reported = new Set(await announced());
    const after = await running(docker);
    const now = performance.now();
    report.looks += 1;
    for (const id of ids) {
      const isRight = reported.has(id) === before.has(id) || reported.has(id) === after.has(id);
      if (isRight) {
        wrongSince.delete(id);
        continue;
      }
      const since = wrongSince.get(id) ?? now;
      wrongSince.set(id, since);
      const lagMs = Math.round(now - since);
      report.longestLagMs = Math.max(report.longestLagMs, lagMs);
      if (lagMs <= mostMs) continue;
      report.wrong.push(
        `${id} is ${reported.has(id) ? "announced and does not run" : "not announced and runs"}: ${lagMs} ms`,
      );
      wrongSince.set(id, now); // reported once in a while
    }
    await pause(LOOK_EVERY_MS);
  }
}

async function running(docker: Docker): Promise<Set<string>> {
  const list = await docker.listContainers({ filters: { label: ["turnabout.runner"], status: ["running"] } });
  return new Set(list.map(({ Labels }) => Labels["turnabout.runner"] ?? ""));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
