/** All runners: searched, filtered, sorted, grouped. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { Button } from "../parts/button.tsx";
import { Search, Select } from "../parts/field.tsx";
import { isNarrow } from "../parts/narrow.ts";
import { Empty, Failed, Loading } from "../parts/notice.tsx";
import { VirtualRows } from "../parts/virtual-rows.tsx";
import { loadAll, runners, runnersError } from "../state/runners.ts";
import { isAdmin } from "../state/sign-in.ts";
import { count, plural } from "../text/format.ts";
import { arrange, FILTERS, isTroubled, SORTS } from "./arrange.ts";
import type { Filter, Row, Sort } from "./arrange.ts";
import { GroupCells, RunnerCells, RunnerHeader } from "./runner-row.tsx";

const text = signal("");
const filter = signal<Filter>("all");
const sort = signal<Sort>("name");
const isGrouped = signal(false);
const closed = signal<ReadonlySet<string>>(new Set());

const FILTER_NAMES: Readonly<Record<Filter, string>> = {
  all: "All",
  connected: "Connected",
  attention: "Need attention",
};
const ROW_HEIGHT = 44;
const NARROW_ROW_HEIGHT = 64;

export function RunnersView(): JSX.Element {
  const all = runners.value;
  const error = runnersError.value;
  const arrangement = {
    text: text.value,
    filter: filter.value,
    sort: sort.value,
    isGrouped: isGrouped.value,
    closed: closed.value,
  };
  const rows = useMemo(() => arrange(all ?? [], arrangement), [all, ...Object.values(arrangement)]);
  if (all === undefined) {
    if (error !== undefined)
      return <Failed what="The list of runners" error={error} onRetry={() => void loadAll()} />;
    return <Loading what="runners" />;
  }
  const shown = rows.filter(({ kind }) => kind === "runner").length;
  const troubled = all.filter(isTroubled).length;
  return (
    <section class="view fill">
      <header class="view-head">
        <h1>Runners</h1>
        <p class="faint" aria-live="polite">
          {shown === all.length || closed.value.size > 0
            ? plural(all.length, "runner")
            : `${plural(shown, "runner")} of ${count(all.length)}`}
          {troubled > 0 && ` · ${troubled} ${troubled === 1 ? "needs" : "need"} attention`}
        </p>
      </header>
      <div class="toolbar">
        <Search label="Search runners" value={text.value} onInput={(value) => (text.value = value)} />
        <Select
          label="Show"
          value={filter.value}
          options={FILTERS.map((name) => [name, FILTER_NAMES[name]] as const)}
          onChange={(value) => (filter.value = value)}
        />
        <Select
          label="Sort by"
          value={sort.value}
          options={SORTS.map((name) => [name, name] as const)}
          onChange={(value) => (sort.value = value)}
        />
        <Button pressed={isGrouped.value} onPress={() => (isGrouped.value = !isGrouped.value)}>
          Group by prefix
        </Button>
      </div>
      {rows.length === 0 ? (
        <NoRows isEmpty={all.length === 0} />
      ) : (
        <VirtualRows
          label="Runners"
          header={<RunnerHeader />}
          items={rows}
          rowHeight={isNarrow.value ? NARROW_ROW_HEIGHT : ROW_HEIGHT}
          keyOf={keyOf}
          rowClass={(row) => (row.kind === "group" ? "group" : "")}
          render={(row) =>
            row.kind === "group" ? (
              <GroupCells {...row} onToggle={() => toggle(row.prefix)} />
            ) : (
              <RunnerCells runner={row.runner} />
            )
          }
        />
      )}
    </section>
  );
}

function NoRows({ isEmpty }: { isEmpty: boolean }): JSX.Element {
  if (!isEmpty) {
    const clear = (): void => {
      text.value = "";
      filter.value = "all";
    };
    return (
      <Empty title="No runner matches">
        <Button onPress={clear}>Clear search and filter</Button>
      </Empty>
    );
  }
  return (
    <Empty title="No runner is known">
      <p>
        {isAdmin.value
          ? "Start an agent beside the service that callers should reach; it appears here as soon as it is connected:"
          : "This token covers no runner that is connected. An admin can change its patterns."}
      </p>
      {isAdmin.value && (
        <pre>
          turnabout agent --server {location.origin} --token-file FILE --runner host-1 --target
          web=127.0.0.1:3000
        </pre>
      )}
    </Empty>
  );
}

function keyOf(row: Row): string {
  return row.kind === "group" ? `group ${row.prefix}` : row.runner.id;
}

function toggle(prefix: string): void {
  const next = new Set(closed.value);
  if (!next.delete(prefix)) next.add(prefix);
  closed.value = next;
}
