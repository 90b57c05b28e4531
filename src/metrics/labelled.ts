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

export function registerGauge(registry: Registry, options: LabelledOptions): void {
  new Gauge(readAtScrape(registry, options));
}

export function registerCounter(registry: Registry, options: LabelledOptions): void {
  new Counter(readAtScrape(registry, options));
}

interface Metric {
  reset(): void;
  inc(labels: Record<string, string>, value: number): void;
}

function readAtScrape(registry: Registry, { name, help, label, read }: LabelledOptions) {
  return {
    name,
    help,
    labelNames: [label],
    registers: [registry],
    collect(this: Metric): void {
      this.reset();
      for (const [value, number] of Object.entries(read())) this.inc({ [label]: value }, number);
    },
  };
}
