/** Gauges and counters with one label, whose values are read at the time of a scrape. */
import { Counter, Gauge } from "prom-client";
import type { Registry } from "prom-client";

export interface LabelledOptions {
  name: string;
  help: string;
  label: string;
  /** By the label's value. */
  read: () => Readonly<Record<string, number>>;
}

export function registerGauge(registry: Registry, { name, help, label, read }: LabelledOptions): void {
  new Gauge({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [value, number] of Object.entries(read())) this.set({ [label]: value }, number);
    },
  });
}

export function registerCounter(registry: Registry, { name, help, label, read }: LabelledOptions): void {
  new Counter({
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect() {
      this.reset();
      for (const [value, number] of Object.entries(read())) this.inc({ [label]: value }, number);
    },
  });
}
