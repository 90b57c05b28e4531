/** The inspector: requests as they end, filtered, and one of them whole. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import type { RequestLine } from "../api/types.ts";
import { Button } from "../parts/button.tsx";
import { Search, Select } from "../parts/field.tsx";
import { isNarrow } from "../parts/narrow.ts";
import { Empty, Failed, Loading } from "../parts/notice.tsx";
import { VirtualRows } from "../parts/virtual-rows.tsx";
import { hrefOf, replaceRoute, route } from "../state/route.ts";
import { count, plural } from "../text/format.ts";
import { RequestDetail } from "./request-detail.tsx";
import {
  closeRequests,
  dropped,
  isPaused,
  keyOf,
  openRequests,
  pause,
  requests,
  requestsError,
  resume,
  sincePause,
  tail,
} from "./request-log.ts";
import type { ServerFilter } from "./request-log.ts";
import { RequestCells, RequestHeader } from "./request-row.tsx";
import { hasFailed } from "./request-text.ts";

const STATUSES = [
  ["", "All"],
  ["failed", "Failed"],
  ["2xx", "2xx"],
  ["3xx", "3xx"],
  ["4xx", "4xx"],
  ["5xx", "5xx"],
] as const;
type StatusChoice = (typeof STATUSES)[number][0];

const text = signal("");
const showsApi = signal(false);
const ROW_HEIGHT = 38;
const NARROW_ROW_HEIGHT = 58;

export function RequestsView(): JSX.Element {
  const { query, rest } = route.value;
  const status = statusOf(query.get("status"));
  const filter: ServerFilter = {
    runner: query.get("runner") ?? "",
    target: query.get("target") ?? "",
    credential: query.get("credential") ?? "",
    status: status === "failed" ? "" : status,
  };
  const filterKey = Object.values(filter).join("\n");
  useEffect(() => openRequests(filter), [filterKey]);
  useEffect(() => closeRequests, []);
  const all = requests.value;
  const isWanted = (line: RequestLine): boolean =>
    isShown(line, status === "failed", text.value, showsApi.value);
  const rows = useMemo(() => (all ?? []).filter(isWanted), [all, status, text.value, showsApi.value]);
  const set = (changes: Record<string, string>): void =>
    replaceRoute(hrefOf("requests", rest, { ...Object.fromEntries(query), ...changes }));
  const [selected] = rest;
  const line = selected === undefined ? undefined : all?.find((each) => each.id === selected);
  return (
    <section class={`view fill split${selected === undefined ? "" : " has-detail"}`}>
      <div class="split-list">
        <header class="view-head">
          <h1>Requests</h1>
          <p class="faint" aria-live="off">
            {plural(rows.length, "request")}
            {dropped.value > 0 && ` · ${count(dropped.value)} left out: they came too fast`}
          </p>
        </header>
        <div class="toolbar">
          <Search
            label="Search path, code, id"
            value={text.value}
            onInput={(value) => (text.value = value)}
          />
          <Select
            label="Show"
            value={status}
            options={STATUSES}
            onChange={(value) => set({ status: value })}
          />
          <Button
            icon={isPaused.value ? "play" : "pause"}
            pressed={isPaused.value}
            onPress={() => (isPaused.value ? resume() : pause())}
          >
            {isPaused.value ? `Paused · ${count(sincePause.value.filter(isWanted).length)} new` : "Pause"}
          </Button>
          <Button pressed={showsApi.value} onPress={() => (showsApi.value = !showsApi.value)}>
            With API calls
          </Button>
        </div>
        <Chips filter={filter} onRemove={(name) => set({ [name]: "" })} />
        <Rows rows={rows} isLoaded={all !== undefined} />
      </div>
      {selected !== undefined && (
        <aside class="split-detail" aria-label="Request">
          <RequestDetail
            key={selected}
            id={selected}
            line={line}
            backTo={hrefOf("requests", [], Object.fromEntries(query))}
          />
        </aside>
      )}
    </section>
  );
}

function Rows({ rows, isLoaded }: { rows: readonly RequestLine[]; isLoaded: boolean }): JSX.Element {
  const error = requestsError.value;
  const { query, rest } = route.value;
  if (!isLoaded && error !== undefined)
    return <Failed what="The list of requests" error={error} onRetry={() => tail.reopen()} />;
  if (!isLoaded) return <Loading what="requests" />;
  if (rows.length === 0)
    return (
      <Empty title="No request matches">
        <p>Requests to targets appear here as they end. Send one, or change the filter.</p>
      </Empty>
    );
  const [selected] = rest;
  return (
    <VirtualRows
      label="Requests"
      header={<RequestHeader />}
      items={rows}
      rowHeight={isNarrow.value ? NARROW_ROW_HEIGHT : ROW_HEIGHT}
      keyOf={keyOf}
      rowClass={({ id }) => (id === selected ? "selected" : "")}
      render={(line) => (
        <RequestCells line={line} href={hrefOf("requests", [line.id], Object.fromEntries(query))} />
      )}
    />
  );
}

function Chips({
  filter,
  onRemove,
}: {
  filter: ServerFilter;
  onRemove: (name: string) => void;
}): JSX.Element | null {
  const { status: _inItsOwnControl, ...named } = filter;
  const chips = Object.entries(named).filter(([, value]) => value !== "");
  if (chips.length === 0) return null;
  return (
    <ul class="chips" aria-label="Filters">
      {chips.map(([name, value]) => (
        <li key={name} class="chip">
          {name} <b>{value}</b>
          <Button icon="close" label={`Remove the filter ${name}`} onPress={() => onRemove(name)} />
        </li>
      ))}
    </ul>
  );
}

function statusOf(value: string | null): StatusChoice {
  return STATUSES.find(([key]) => key === value)?.[0] ?? "";
}

function isShown(line: RequestLine, onlyFailed: boolean, wanted: string, withApi: boolean): boolean {
  if (!withApi && line.way === "api") return false;
  if (onlyFailed && !hasFailed(line) && (line.status ?? 0) < 400) return false;
  if (wanted === "") return true;
  const { path, code, id, method, runner, target, credential, client } = line;
  const whole = [path, code, id, method, `${runner}/${target}`, credential, client].join(" ").toLowerCase();
  return wanted
    .toLowerCase()
    .split(/\s+/)
    .every((word) => whole.includes(word));
}
