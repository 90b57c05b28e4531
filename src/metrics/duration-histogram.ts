/** Exposes {@link Durations} as a histogram of prom-client, whose own observations cost several times as much. */
import { Histogram } from "prom-client";
import type { Registry } from "prom-client";
import type { Durations } from "./durations.ts";

type Labels = Readonly<Record<string, string>>;

export interface DurationHistogramOptions {
  name: string;
  help: string;
  registers: Registry[];
  labelNames?: readonly string[];
  /** What there is at the time of a scrape. All series have the same buckets. */
  series: () => Iterable<readonly [Labels, Durations]>;
}

interface Value {
  labels: Readonly<Record<string, string | number>>;
  /** The same object for all values of a series: prom-client writes it once. */
  sharedLabels: Labels;
  value: number;
  metricName: string;
}

export class DurationHistogram extends Histogram {
  readonly #series: DurationHistogramOptions["series"];
  readonly #named: { readonly name: string; readonly help: string };

  constructor({ name, help, registers, labelNames = [], series }: DurationHistogramOptions) {
    super({ name, help, registers, labelNames: [...labelNames] });
    this.#series = series;
    this.#named = { name, help };
  }

  /** What prom-client calls for a scrape, and in its own `get()`. */
  async getForPromString(): Promise<object> {
    const values: Value[] = [];
    for (const [labels, durations] of this.#series()) this.#push(values, labels, durations);
    return { ...this.#named, type: "histogram", aggregator: "sum", values };
  }

  #push(values: Value[], sharedLabels: Labels, { bucketsS, counts, count, sumS }: Durations): void {
    const { name } = this.#named;
    const bucket = `${name}_bucket`;
    let cumulative = 0;
    bucketsS.forEach((le, index) => {
      cumulative += counts[index] ?? 0;
      values.push({ labels: { le }, sharedLabels, value: cumulative, metricName: bucket });
    });
    values.push(
      { labels: { le: "+Inf" }, sharedLabels, value: count, metricName: bucket },
      { labels: {}, sharedLabels, value: sumS, metricName: `${name}_sum` },
      { labels: {}, sharedLabels, value: count, metricName: `${name}_count` },
    );
  }
}
