/** The newest requests: those that the control plane has kept, and those that end while the view is open. */
import { computed, signal } from "@preact/signals";
import { unreachable } from "../api/api-error.ts";
import type { ApiError } from "../api/api-error.ts";
import { callPath } from "../api/client.ts";
import type { PageEvent } from "../api/event-stream.ts";
import type { RequestLine } from "../api/types.ts";
import { FIRST_REQUESTS, MAX_REQUESTS, REQUESTS_DRAW_MS } from "../limits.ts";
import { LiveStream } from "../state/live-stream.ts";
import { findSignIn } from "../state/sign-in.ts";

/** What the control plane filters: the page could not keep all of a busy one. */
export interface ServerFilter {
  runner: string;
  target: string;
  credential: string;
  /** `4xx,5xx`; empty for all. */
  status: string;
}

export const NO_FILTER: ServerFilter = { runner: "", target: "", credential: "", status: "" };

const kept = signal<readonly RequestLine[] | undefined>(undefined);
/** Newest first; undefined until they are loaded. */
export const requests = computed(() => frozen.value ?? kept.value);
export const requestsError = signal<ApiError | undefined>(undefined);
/** Lines that the control plane left out, because the page was too slow for them. */
export const dropped = signal(0);
/** What is shown while the list is paused. */
const frozen = signal<readonly RequestLine[] | undefined>(undefined);
export const isPaused = computed(() => frozen.value !== undefined);
/** What has come since the pause. */
export const sincePause = computed<readonly RequestLine[]>(() => {
  const all = kept.value ?? [];
  const newest = frozen.value?.[0];
  const known = newest === undefined ? -1 : all.findIndex((line) => keyOf(line) === keyOf(newest));
  return frozen.value === undefined ? [] : all.slice(0, known < 0 ? all.length : known);
});

let filter: ServerFilter = NO_FILTER;
let arrived: RequestLine[] = [];
let drawTimer: ReturnType<typeof setTimeout> | undefined;

const query = (): Record<string, string | undefined> =>
  Object.fromEntries(Object.entries(filter).map(([name, value]) => [name, value === "" ? undefined : value]));

export const tail: LiveStream = new LiveStream({
  path: "/api/v1/access-log",
  query,
  onOpen: () => void loadKept(),
  onEvent: take,
  onRefused: (error) => {
    if (error.status === 401) void findSignIn();
    else requestsError.value = error;
  },
});

export function openRequests(wanted: ServerFilter): void {
  filter = wanted;
  kept.value = undefined;
  requestsError.value = undefined;
  dropped.value = 0;
  resume();
  tail.reopen();
  void loadKept();
}

export function closeRequests(): void {
  tail.close();
  clearTimeout(drawTimer);
  drawTimer = undefined;
  arrived = [];
  resume();
}

export function pause(): void {
  frozen.value = kept.value ?? [];
}

export function resume(): void {
  frozen.value = undefined;
}

async function loadKept(): Promise<void> {
  const wanted = filter;
  try {
    const { requests: list } = (await callPath("get", "/api/v1/requests", {
      query: { ...query(), limit: FIRST_REQUESTS },
    })) as { requests: RequestLine[] };
    if (filter !== wanted) return;
    kept.value = joined(list, kept.value ?? []);
    requestsError.value = undefined;
  } catch (error) {
    if (filter === wanted) requestsError.value = unreachable(error);
  }
}

function take({ type, data }: PageEvent): void {
  if (type === "dropped") dropped.value += (data as { lines: number }).lines;
  if (type !== "line") return;
  arrived.push(data as RequestLine);
  if (arrived.length > MAX_REQUESTS) arrived = arrived.slice(-MAX_REQUESTS);
  drawTimer ??= setTimeout(draw, REQUESTS_DRAW_MS);
}

function draw(): void {
  drawTimer = undefined;
  const lines = arrived.toReversed();
  arrived = [];
  kept.value = joined(lines, kept.value ?? []);
}

/** Both newest first. A request that is in both is taken from the one that has more of it. */
export function joined(some: readonly RequestLine[], others: readonly RequestLine[]): RequestLine[] {
  const all = new Map<string, RequestLine>();
  for (const line of [...some, ...others]) {
    const key = keyOf(line);
    const known = all.get(key);
    if (known === undefined || (known.seq === undefined && line.seq !== undefined)) all.set(key, line);
  }
  return [...all.values()]
    .toSorted((one, other) => (one.time < other.time ? 1 : one.time > other.time ? -1 : 0))
    .slice(0, MAX_REQUESTS);
}

/** A reverse proxy may give several requests the same id. */
export function keyOf({ id, time, path = "" }: RequestLine): string {
  return `${id} ${time} ${path}`;
}
