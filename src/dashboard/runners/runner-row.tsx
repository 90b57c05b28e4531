/** Cells of the list of runners. */
import type { JSX } from "preact";
import type { Runner } from "../api/types.ts";
import { Mark, Status } from "../parts/status.tsx";
import { toneOfState } from "../parts/tone.ts";
import { now } from "../state/clock.ts";
import { hrefOf } from "../state/route.ts";
import { ago, count, ms, NOTHING, plural } from "../text/format.ts";
import { streamsOf } from "./arrange.ts";

const COLUMNS = ["Runner", "State", "Targets", "Carrier", "Round trip", "Streams", "Since"] as const;
const SHOWN_TARGETS = 4;

export function RunnerHeader(): JSX.Element {
  return (
    <>
      {COLUMNS.map((name) => (
        <span key={name} role="columnheader" class={classOf(name)}>
          {name}
        </span>
      ))}
    </>
  );
}

function classOf(name: string): string {
  const key = name.toLowerCase().replace(" ", "-");
  return `cell ${key}${["round-trip", "streams"].includes(key) ? " number" : ""}`;
}

export function RunnerCells({ runner }: { runner: Runner }): JSX.Element {
  const { id, state, targets, carrier, version, rttMs, since, waitingDials } = runner;
  return (
    <>
      <span role="cell" class="cell runner">
        <a href={hrefOf("runners", [id])} class="row-link" title={id}>
          {id}
        </a>
      </span>
      <span role="cell" class="cell state">
        <Status
          tone={toneOfState(state)}
          text={waitingDials > 0 ? `${state}, ${count(waitingDials)} waiting` : state}
        />
      </span>
      <span role="cell" class="cell targets">
        {targets.slice(0, SHOWN_TARGETS).map(({ name, healthy }) => (
          <span key={name} class={healthy ? "chip" : "chip bad"} title={healthy ? name : `${name}: down`}>
            {!healthy && <Mark tone="bad" />}
            {name}
            {!healthy && <span class="visually-hidden"> (down)</span>}
          </span>
        ))}
        {targets.length > SHOWN_TARGETS && <span class="faint">+{targets.length - SHOWN_TARGETS}</span>}
      </span>
      <span role="cell" class="cell carrier">
        {carrier ?? NOTHING}
        {version !== null && <span class="faint"> {version}</span>}
      </span>
      <span role="cell" class="cell round-trip number">
        {ms(rttMs)}
      </span>
      <span role="cell" class="cell streams number">
        {count(streamsOf(runner))}
      </span>
      <span role="cell" class="cell since faint" title={since}>
        {ago(since, now.value)}
      </span>
    </>
  );
}

export function GroupCells({
  prefix,
  size,
  troubled,
  isClosed,
  onToggle,
}: {
  prefix: string;
  size: number;
  troubled: number;
  isClosed: boolean;
  onToggle: () => void;
}): JSX.Element {
  return (
    <span role="cell" class="cell heading" aria-colspan={COLUMNS.length}>
      <button type="button" class="row-link" aria-expanded={!isClosed} onClick={onToggle}>
        <span class="twist" aria-hidden="true">
          {isClosed ? "▸" : "▾"}
        </span>
        {prefix} <span class="faint">{plural(size, "runner")}</span>
        {troubled > 0 && (
          <Status tone="warn" text={`${troubled} ${troubled === 1 ? "needs" : "need"} attention`} />
        )}
      </button>
    </span>
  );
}
