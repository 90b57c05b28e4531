/** A chart over time, with the values under the pointer, or the latest, in its caption. Charts of a view share their pointer. */
import uPlot from "uplot";
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { isDark } from "../state/theme.ts";
import { time as timeText } from "../text/format.ts";

export interface ChartSeries {
  label: string;
  values: readonly (number | null)[];
  /** A custom property of the style sheet: `--accent`. */
  color: string;
  isFilled?: boolean;
}

export interface ChartProps {
  title: string;
  /** Unix time in seconds. */
  time: readonly number[];
  series: readonly ChartSeries[];
  format: (value: number | null | undefined) => string;
}

const HEIGHT = 130;
const POINTER = "turnabout";

export function Chart({ title, time, series, format }: ChartProps): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [index, setIndex] = useState<number | null>(null);
  const names = series.map(({ label }) => label).join();

  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const colorOf = (name: string): string => resolvedColor(element, name);
    const axis = {
      stroke: colorOf("--faint"),
      grid: { stroke: colorOf("--line"), width: 1 },
      ticks: { show: false },
      font: `11px ${getComputedStyle(element).fontFamily}`,
    };
    const made = new uPlot(
      {
        width: Math.max(200, element.clientWidth),
        height: HEIGHT,
        legend: { show: false },
        cursor: { sync: { key: POINTER }, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.1 : 1] } },
        axes: [
          { ...axis, size: 24, space: 80, values: (_plot, ticks) => tickTexts(ticks) },
          { ...axis, size: 62, space: 30, values: (_plot, ticks) => ticks.map((tick) => format(tick)) },
        ],
        series: [
          {},
          ...series.map(({ label, color, isFilled = false }) => ({
            label,
            stroke: colorOf(color),
            width: 1.5,
            points: { show: false },
            ...(isFilled && { fill: transparent(colorOf(color)) }),
          })),
        ],
        hooks: { setCursor: [({ cursor }) => setIndex(cursor.idx ?? null)] },
      },
      dataOf(time, series),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() =>
      made.setSize({ width: Math.max(200, element.clientWidth), height: HEIGHT }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = undefined;
    };
    // Colours and names are read once: with others it is made anew.
  }, [isDark.value, names]);
  useEffect(() => plot.current?.setData(dataOf(time, series)), [time, series]);

  const shown = index ?? time.length - 1;
  const at = time[shown];
  return (
    <figure class="chart">
      <figcaption>
        <strong>{title}</strong>
        {series.map(({ label, values, color }) => (
          <span key={label} class="legend">
            <i class={`swatch ${color.slice(2)}`} aria-hidden="true" />
            {label} <b>{format(values[shown])}</b>
          </span>
        ))}
        <span class="faint at">{at === undefined ? "" : timeText(at * 1_000)}</span>
      </figcaption>
      <div ref={place} class="plot" aria-hidden="true" />
    </figure>
  );
}

/** Without seconds, unless there are several in a minute. */
function tickTexts(ticks: readonly number[]): string[] {
  const texts = ticks.map((tick) => timeText(tick * 1_000));
  const minutes = texts.map((text) => text.slice(0, 5));
  return new Set(minutes).size === minutes.length ? minutes : texts;
}

/** As a canvas understands it: a custom property may be another function of CSS. @returns `rgb(11, 107, 99)` */
function resolvedColor(element: HTMLElement, name: string): string {
  element.style.color = `var(${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}

function transparent(color: string): string {
  return color.replace("rgb(", "rgba(").replace(")", ", 0.13)");
}

function dataOf(time: readonly number[], series: readonly ChartSeries[]): uPlot.AlignedData {
  return [[...time], ...series.map(({ values }) => [...values])];
}
