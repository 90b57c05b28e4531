/**
 * The process's own figures, under the names that Prometheus' clients use. There is one set in a process, which every registry
 * shows: prom-client's own would start a monitor and an observer for each, and stop none.
 */
import { readdir, readFile } from "node:fs/promises";
import { performance, PerformanceObserver, constants } from "node:perf_hooks";
import { Counter, Gauge } from "prom-client";
import type { Metric, Registry } from "prom-client";
import { DurationHistogram } from "./duration-histogram.ts";
import { Durations } from "./durations.ts";
import { EventLoopDelay } from "./event-loop-delay.ts";

const US_PER_S = 1e6;
const GC_BUCKETS_S = [0.001, 0.01, 0.1, 1, 5];
const GC_KINDS: Readonly<Record<number, string>> = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: "major",
  [constants.NODE_PERFORMANCE_GC_MINOR]: "minor",
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: "incremental",
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: "weakcb",
};

let shared: readonly Metric[] | undefined;

export function registerProcessMetrics(registry: Registry): void {
  shared ??= createMetrics();
  for (const metric of shared) registry.registerMetric(metric);
}

function createMetrics(): Metric[] {
  const startedAtS = Date.now() / 1_000 - process.uptime();
  const loop = new EventLoopDelay();
  return [
    counter(
      "process_cpu_user_seconds_total",
      "CPU time in user mode.",
      () => process.cpuUsage().user / US_PER_S,
    ),
    counter(
      "process_cpu_system_seconds_total",
      "CPU time in the kernel.",
      () => process.cpuUsage().system / US_PER_S,
    ),
    counter("process_cpu_seconds_total", "CPU time.", () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / US_PER_S;
    }),
    gauge("process_start_time_seconds", "When the process started (Unix time).", () => startedAtS),
    gauge("process_resident_memory_bytes", "Resident memory.", () => process.memoryUsage.rss()),
    gauge("process_open_fds", "Open file descriptors.", countDescriptors),
    gauge("process_max_fds", "File descriptors that may be open at most.", maxDescriptors),
    gauge("nodejs_heap_size_total_bytes", "V8's heap.", () => process.memoryUsage().heapTotal),
    gauge("nodejs_heap_size_used_bytes", "What is used of it.", () => process.memoryUsage().heapUsed),
    gauge("nodejs_external_memory_bytes", "Buffers and other memory outside the heap.", () => {
      return process.memoryUsage().external;
    }),
    gauge("nodejs_eventloop_lag_p50_seconds", "Delay of the event loop, median.", () => loop.delays.p50S),
    gauge("nodejs_eventloop_lag_p90_seconds", "The same, 90th percentile.", () => loop.delays.p90S),
    gauge("nodejs_eventloop_lag_p99_seconds", "The same, 99th percentile.", () => loop.delays.p99S),
    gauge("nodejs_eventloop_lag_max_seconds", "The same, longest.", () => loop.delays.maxS),
    counter(
      "nodejs_eventloop_active_seconds_total",
      "Time in which the event loop had something to do: its rate is how busy it is, 1 at most.",
      () => performance.eventLoopUtilization().active / 1_000,
    ),
    gcDurations(),
    info("nodejs_version_info", "The Node.js that runs this.", { version: process.version }),
  ];
}

function counter(name: string, help: string, read: () => number): Counter {
  return new Counter({
    name,
    help,
    registers: [],
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}

/** @param read undefined where the system does not have it */
function gauge(name: string, help: string, read: () => number | Promise<number | undefined>): Gauge {
  return new Gauge({
    name,
    help,
    registers: [],
    async collect() {
      const value = await read();
      if (value === undefined) this.remove();
      else this.set(value);
    },
  });
}

/** What does not change, as labels of a 1. */
function info<Name extends string>(name: string, help: string, labels: Record<Name, string>): Gauge<Name> {
  const metric = new Gauge({ name, help, labelNames: Object.keys(labels) as Name[], registers: [] });
  metric.set(labels, 1);
  return metric;
}

export function registerBuildInfo(
  registry: Registry,
  component: "agent" | "control-plane",
  version: string,
): void {
  const help = "1, with the version of Turnabout and of Node.js.";
  registry.registerMetric(info("turnabout_build_info", help, { component, version, node: process.version }));
}

function gcDurations(): DurationHistogram {
  const byKind = new Map(Object.values(GC_KINDS).map((kind) => [kind, new Durations(GC_BUCKETS_S)]));
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind = 0 } = (entry as { detail?: { kind?: number } }).detail ?? {};
      byKind.get(GC_KINDS[kind] ?? "")?.observeMs(entry.duration);
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  return new DurationHistogram({
    name: "nodejs_gc_duration_seconds",
    help: "Garbage collections, by kind.",
    labelNames: ["kind"],
    registers: [],
    series: () => [...byKind].map(([kind, durations]) => [{ kind }, durations] as const),
  });
}

async function countDescriptors(): Promise<number | undefined> {
  try {
    return (await readdir("/proc/self/fd")).length - 1; // without the one that reads the folder
  } catch {
    return undefined;
  }
}

async function maxDescriptors(): Promise<number | undefined> {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(await readFile("/proc/self/limits", "utf8")) ?? [];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}
