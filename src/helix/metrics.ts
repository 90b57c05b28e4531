/** Helix's figures in the control plane's `GET /metrics`. */
import { Gauge } from "prom-client";
import type { Registry } from "prom-client";
import type { Instances } from "./instances/instances.ts";

export function registerHelixMetrics(
  registry: Registry,
  instances: Pick<Instances, "diskUsedPercents" | "gpuMemoryUsedPercents">,
): void {
  const registers = [registry];
  // Not `instance`: that label is Prometheus' own.
  const labelNames = ["wolf_instance"] as const;
  new Gauge({
    name: "turnabout_wolf_instance_disk_used_percent",
    help: "How full the fullest disk of a Wolf instance is, by its heartbeats; without old figures.",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const [id, percent] of Object.entries(instances.diskUsedPercents()))
        this.set({ wolf_instance: id }, percent);
    },
  });
  new Gauge({
    name: "turnabout_wolf_instance_gpu_memory_used_percent",
    help: "How full the memory of the fullest GPU of a Wolf instance is, by its heartbeats; without old figures.",
    labelNames,
    registers,
    collect() {
      this.reset();
      for (const [id, percent] of Object.entries(instances.gpuMemoryUsedPercents()))
        this.set({ wolf_instance: id }, percent);
    },
  });
}
