/** An hour of the control plane's figures, continued while a view shows them. */
import { signal } from "@preact/signals";
import { unreachable } from "../api/api-error.ts";
import type { ApiError } from "../api/api-error.ts";
import { callPath } from "../api/client.ts";
import { SERIES } from "../api/types.ts";
import type { Figures, SeriesName } from "../api/types.ts";
import { FIGURES_REFRESH_MS, MAX_FIGURES } from "../limits.ts";

export const figures = signal<Figures | undefined>(undefined);
export const figuresError = signal<ApiError | undefined>(undefined);

let timer: ReturnType<typeof setTimeout> | undefined;
let round = 0;

/** @returns stops it */
export function followFigures(): () => void {
  round += 1;
  void loadFigures(round);
  return () => {
    round += 1;
    clearTimeout(timer);
  };
}

async function loadFigures(mine: number): Promise<void> {
  const known = figures.value;
  const after = document.hidden ? undefined : known?.time.at(-1);
  try {
    const next = (await callPath("get", "/api/v1/history", { query: { after } })) as Figures;
    if (round !== mine) return;
    figures.value = after === undefined || known === undefined ? next : joined(known, next);
    figuresError.value = undefined;
  } catch (error) {
    if (round !== mine) return;
    figuresError.value = unreachable(error);
  }
  timer = setTimeout(() => void loadFigures(mine), FIGURES_REFRESH_MS);
}

export function joined(known: Figures, next: Figures): Figures {
  const last = known.time.at(-1) ?? 0;
  const from = next.time.findIndex((at) => at > last);
  if (from < 0) return known;
  const series = Object.fromEntries(
    SERIES.map((name) => [
      name,
      [...(known.series[name] ?? []), ...(next.series[name] ?? []).slice(from)].slice(-MAX_FIGURES),
    ]),
  ) as Record<SeriesName, (number | null)[]>;
  return { stepS: next.stepS, time: [...known.time, ...next.time.slice(from)].slice(-MAX_FIGURES), series };
}
