/** Charts of the last hour, for admins. */
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import type { Figures, SeriesName } from "../api/types.ts";
import { Chart } from "../parts/chart.tsx";
import type { ChartSeries } from "../parts/chart.tsx";
import { Failed, Loading } from "../parts/notice.tsx";
import { figures, figuresError, followFigures } from "../state/figures.ts";
import { bytes, count, ms, NOTHING } from "../text/format.ts";

interface Plan {
  title: string;
  format: (value: number | null | undefined) => string;
  series: readonly {
    name: SeriesName;
    label: string;
    color: string;
    isFilled?: boolean;
    /** Counts of a step are shown by the second. */
    isRate?: boolean;
  }[];
}

const rate = (value: number | null | undefined): string => {
  if (value === null || value === undefined) return NOTHING;
  return `${value >= 10 || value === 0 ? Math.round(value) : value.toFixed(1)}/s`;
};
const bytesRate = (value: number | null | undefined): string =>
  value === null || value === undefined ? NOTHING : `${bytes(value)}/s`;
const whole = (value: number | null | undefined): string =>
  value === null || value === undefined ? NOTHING : count(Math.round(value * 10) / 10);

const PLANS: readonly Plan[] = [
  {
    title: "Requests",
    format: rate,
    series: [
      { name: "requests", label: "all", color: "--accent", isFilled: true, isRate: true },
      { name: "errors", label: "failed", color: "--bad", isRate: true },
    ],
  },
  {
    title: "Latency",
    format: ms,
    series: [
      { name: "p50Ms", label: "p50", color: "--accent" },
      { name: "p90Ms", label: "p90", color: "--warn" },
      { name: "p99Ms", label: "p99", color: "--bad" },
    ],
  },
  {
    title: "Content",
    format: bytesRate,
    series: [
      { name: "bytesOut", label: "to callers", color: "--accent", isFilled: true, isRate: true },
      { name: "bytesIn", label: "from callers", color: "--second", isRate: true },
    ],
  },
  {
    title: "Streams",
    format: whole,
    series: [
      { name: "streams", label: "open", color: "--accent", isFilled: true },
      { name: "waitingDials", label: "dials that wait", color: "--warn" },
    ],
  },
  {
    title: "Tunnel connections",
    format: whole,
    series: [
      { name: "runners", label: "runners", color: "--accent" },
      { name: "connects", label: "connects", color: "--ok" },
      { name: "losses", label: "losses", color: "--bad" },
    ],
  },
  {
    title: "Event loop",
    format: ms,
    series: [{ name: "loopDelayMs", label: "longest delay", color: "--accent", isFilled: true }],
  },
];

export function FiguresCharts(): JSX.Element {
  useEffect(followFigures, []);
  const value = figures.value;
  const error = figuresError.value;
  if (value === undefined)
    return error === undefined ? <Loading what="figures" /> : <Failed what="The figures" error={error} />;
  if (value.time.length < 2)
    return (
      <p class="faint">The control plane has just started: the charts begin in {value.stepS * 2} seconds.</p>
    );
  return (
    <div class="charts">
      {PLANS.map((plan) => (
        <PlannedChart key={plan.title} plan={plan} figures={value} />
      ))}
    </div>
  );
}

function PlannedChart({
  plan,
  figures: { time, stepS, series: all },
}: {
  plan: Plan;
  figures: Figures;
}): JSX.Element {
  const series = useMemo(
    () =>
      plan.series.map(({ name, label, color, isFilled = false, isRate = false }): ChartSeries => ({
        label,
        color,
        isFilled,
        values: isRate
          ? (all[name] ?? []).map((value) => (value === null ? null : value / stepS))
          : (all[name] ?? []),
      })),
    [all, stepS, plan],
  );
  return <Chart title={plan.title} time={time} series={series} format={plan.format} />;
}
