/** The metrics of requests and of targets, from what {@link RequestFigures} has counted. */
import { Counter, Gauge } from "prom-client";
import type { Registry } from "prom-client";
import { DurationHistogram } from "../../metrics/duration-histogram.ts";
import type { RequestFigures } from "./request-figures.ts";
import { STATUS_CLASSES } from "./target-figure.ts";

const TARGET = ["runner", "target"];

/** @param isUp whether a target was reached at the last attempt, and its runner is connected */
export function registerTargetMetrics(
  registry: Registry,
  figures: RequestFigures,
  isUp: (runner: string, target: string) => boolean,
): void {
  const registers = [registry];
  new DurationHistogram({
    name: "turnabout_request_duration_seconds",
    help: "Requests, WebSockets, CONNECTs and dials from their start to their end, by how they have come.",
    labelNames: ["way"],
    registers,
    series: () => Object.entries(figures.byWay).map(([way, durations]) => [{ way }, durations] as const),
  });
  new DurationHistogram({
    name: "turnabout_target_request_duration_seconds",
    help: "HTTP requests to a target, to the end of the response.",
    labelNames: TARGET,
    registers,
    *series() {
      figures.sweep();
      for (const { runner, target, durations } of figures.all())
        yield [{ runner, target }, durations] as const;
    },
  });
  new DurationHistogram({
    name: "turnabout_target_first_byte_seconds",
    help: "HTTP requests to a target, to the header of its response.",
    labelNames: TARGET,
    registers,
    *series() {
      for (const { runner, target, firstBytes } of figures.all())
        yield [{ runner, target }, firstBytes] as const;
    },
  });
  new Counter({
    name: "turnabout_target_requests_total",
    help: "Requests, WebSockets, CONNECTs and dials that have ended, by code (ok or an error code) and status.",
    labelNames: [...TARGET, "code", "status"],
    registers,
    collect() {
      this.reset();
      for (const { runner, target, outcomes } of figures.all()) {
        for (const [code, byStatus] of outcomes) {
          byStatus.forEach((count, index) => {
            if (count > 0) this.inc({ runner, target, code, status: STATUS_CLASSES[index] ?? "none" }, count);
          });
        }
      }
    },
  });
  new Counter({
    name: "turnabout_target_request_bytes_total",
    help: "Content that callers have sent to a target, counted at the end of each exchange.",
    labelNames: TARGET,
    registers,
    collect() {
      this.reset();
      for (const { runner, target, requestBytes } of figures.all())
        this.inc({ runner, target }, requestBytes);
    },
  });
  new Counter({
    name: "turnabout_target_response_bytes_total",
    help: "Content that callers have got from a target, counted at the end of each exchange.",
    labelNames: TARGET,
    registers,
    collect() {
      this.reset();
      for (const { runner, target, responseBytes } of figures.all())
        this.inc({ runner, target }, responseBytes);
    },
  });
  new Gauge({
    name: "turnabout_target_up",
    help: "1 if the target was reached at the last attempt and its runner is connected, else 0.",
    labelNames: TARGET,
    registers,
    collect() {
      this.reset();
      for (const { runner, target } of figures.targets())
        this.set({ runner, target }, isUp(runner, target) ? 1 : 0);
    },
  });
  new Gauge({
    name: "turnabout_target_last_failure_timestamp_seconds",
    help: "When a request last failed because of the target (Unix time), by the code of that failure.",
    labelNames: [...TARGET, "code"],
    registers,
    collect() {
      this.reset();
      for (const { runner, target, lastFailure } of figures.targets()) {
        if (lastFailure !== undefined)
          this.set({ runner, target, code: lastFailure.code }, lastFailure.atMs / 1_000);
      }
    },
  });
}
