/** The runners, live: the list, what events change of it, and round trips and streams every few seconds. */
import { batch, computed, signal } from "@preact/signals";
import { ApiError, unreachable } from "../api/api-error.ts";
import { call, callPath } from "../api/client.ts";
import type { PageEvent } from "../api/event-stream.ts";
import type { Runner } from "../api/types.ts";
import {
  MAX_RECENT_EVENTS,
  MAX_SINGLE_RUNNERS,
  PAUSE_PER_LOAD,
  RUNNER_CHANGES_MS,
  RUNNERS_REFRESH_MS,
} from "../limits.ts";
import { LiveStream } from "./live-stream.ts";
import { findSignIn } from "./sign-in.ts";
import { forgetTraffic, noteTraffic } from "./traffic.ts";

export interface SeenEvent {
  at: number;
  type: string;
  runner: string | undefined;
  /** Of a session. */
  session: string | undefined;
}

const byId = signal<ReadonlyMap<string, Runner> | undefined>(undefined);
/** Undefined until they are loaded. */
export const runners = computed<readonly Runner[] | undefined>(() =>
  byId.value === undefined ? undefined : [...byId.value.values()],
);
export const runnersError = signal<ApiError | undefined>(undefined);
export const recentEvents = signal<readonly SeenEvent[]>([]);
/** Counts events about sessions and instances, for views that load them again. */
export const sessionChanges = signal(0);

const changed = new Set<string>();
let changeTimer: ReturnType<typeof setTimeout> | undefined;
let refreshTimer: ReturnType<typeof setTimeout> | undefined;
let isOpen = false;
let loading: Promise<void> | undefined;

export const events: LiveStream = new LiveStream({
  path: "/api/v1/events",
  // What has happened before it was open is in the list.
  onOpen: () => void loadAll(),
  onEvent: note,
  onRefused: () => void findSignIn(),
});

export function runnerOf(id: string): Runner | undefined {
  return byId.value?.get(id);
}

export function openRunners(): void {
  isOpen = true;
  events.open();
  void loadAll();
}

export function closeRunners(): void {
  isOpen = false;
  events.close();
  clearTimeout(changeTimer);
  clearTimeout(refreshTimer);
  changeTimer = undefined;
  changed.clear();
  batch(() => {
    byId.value = undefined;
    recentEvents.value = [];
    runnersError.value = undefined;
  });
  forgetTraffic();
}

/** Loads the whole list; two at once are one. */
export function loadAll(): Promise<void> {
  loading ??= load().finally(() => (loading = undefined));
  return loading;
}

async function load(): Promise<void> {
  clearTimeout(refreshTimer);
  const startedAt = performance.now();
  try {
    const { runners: list } = await call("get", "/api/v1/runners", {});
    if (!isOpen) return;
    batch(() => {
      byId.value = new Map(list.map((runner) => [runner.id, runner]));
      noteTraffic(list, performance.now());
      runnersError.value = undefined;
    });
  } catch (error) {
    if (isOpen) runnersError.value = unreachable(error);
  }
  const tookMs = performance.now() - startedAt;
  refreshTimer = setTimeout(refresh, Math.max(RUNNERS_REFRESH_MS, tookMs * PAUSE_PER_LOAD));
}

function refresh(): void {
  if (document.hidden) refreshTimer = setTimeout(refresh, RUNNERS_REFRESH_MS);
  else void loadAll();
}

function note({ type, data }: PageEvent): void {
  if (typeof data !== "object" || data === null) return;
  const { runner, session } = data as { runner?: unknown; session?: unknown };
  const seen: SeenEvent = { at: Date.now(), type, runner: textOf(runner), session: textOf(session) };
  batch(() => {
    recentEvents.value = [seen, ...recentEvents.value].slice(0, MAX_RECENT_EVENTS);
    if (type.startsWith("session-")) sessionChanges.value += 1;
  });
  if (seen.runner === undefined) return;
  changed.add(seen.runner);
  changeTimer ??= setTimeout(() => void loadChanged(), RUNNER_CHANGES_MS);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

async function loadChanged(): Promise<void> {
  changeTimer = undefined;
  const ids = [...changed];
  changed.clear();
  if (ids.length > MAX_SINGLE_RUNNERS) return loadAll();
  const loaded = await Promise.allSettled(ids.map(loadOne));
  const current = byId.value;
  if (current === undefined || !isOpen) return;
  const next = new Map(current);
  loaded.forEach((result, index) => {
    const id = ids[index] ?? "";
    if (result.status === "fulfilled") next.set(id, result.value);
    else if (unreachable(result.reason).status === 404) next.delete(id);
  });
  byId.value = next;
}

async function loadOne(id: string): Promise<Runner> {
  return (await callPath("get", "/api/v1/runners/{id}", { path: { id } })) as Runner;
}
