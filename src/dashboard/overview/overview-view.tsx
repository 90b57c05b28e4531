/** The whole system at one glance: what needs attention, the way of requests, an hour of figures, what has just happened. */
import type { JSX } from "preact";
import type { Runner } from "../api/types.ts";
import { Empty, Failed, Loading } from "../parts/notice.tsx";
import { Mark, Status } from "../parts/status.tsx";
import { toneOfState } from "../parts/tone.ts";
import type { Tone } from "../parts/tone.ts";
import { isTroubled, streamsOf } from "../runners/arrange.ts";
import { hrefOf } from "../state/route.ts";
import { loadAll, recentEvents, runners, runnersError } from "../state/runners.ts";
import { isAdmin } from "../state/sign-in.ts";
import { count, plural, time } from "../text/format.ts";
import { FiguresCharts } from "./figures-charts.tsx";
import { Topology } from "./topology.tsx";

const SHOWN_TROUBLES = 6;
const SHOWN_EVENTS = 12;

export function OverviewView(): JSX.Element {
  const list = runners.value;
  const error = runnersError.value;
  if (list === undefined)
    return error === undefined ? (
      <Loading what="the overview" />
    ) : (
      <Failed what="The overview" error={error} onRetry={() => void loadAll()} />
    );
  const connected = list.filter(({ state }) => state === "connected").length;
  const targets = list.flatMap((runner) => runner.targets);
  const down = targets.filter(({ healthy }) => !healthy).length;
  const streams = list.reduce((sum, runner) => sum + streamsOf(runner), 0);
  const waiting = list.reduce((sum, { waitingDials }) => sum + waitingDials, 0);
  return (
    <section class="view">
      <header class="view-head">
        <h1>Overview</h1>
      </header>
      <dl class="tiles">
        <Tile name="Runners" value={count(connected)} detail={`of ${count(list.length)} connected`} />
        <Tile
          name="Targets"
          value={count(targets.length - down)}
          detail={down > 0 ? `${count(down)} down` : "all accept connections"}
        />
        <Tile
          name="Open streams"
          value={count(streams)}
          detail={streams === 0 ? "no request is under way" : "under way now"}
        />
        <Tile
          name="Waiting dials"
          value={count(waiting)}
          detail={waiting === 0 ? "none waits for an agent" : "wait for an agent"}
        />
      </dl>
      {list.length === 0 ? (
        <Empty title="No agent has connected">
          <p>
            See <a href={hrefOf("runners")}>Runners</a> for the first command.
          </p>
        </Empty>
      ) : (
        <>
          <Troubles runners={list.filter(isTroubled)} />
          <h2>Topology</h2>
          <Topology />
        </>
      )}
      {isAdmin.value && (
        <>
          <h2>The last hour</h2>
          <FiguresCharts />
        </>
      )}
      <h2>Since this page was opened</h2>
      <Events />
    </section>
  );
}

function Tile({ name, value, detail }: { name: string; value: string; detail: string }): JSX.Element {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>
        <b>{value}</b> <span class="faint">{detail}</span>
      </dd>
    </div>
  );
}

function Troubles({ runners: troubled }: { runners: readonly Runner[] }): JSX.Element | null {
  if (troubled.length === 0) return null;
  return (
    <section class="callout warn" aria-label="Needs attention">
      <strong>
        {troubled.length === 1
          ? "1 runner needs attention"
          : `${plural(troubled.length, "runner")} need attention`}
      </strong>
      <ul>
        {troubled.slice(0, SHOWN_TROUBLES).map((runner) => (
          <li key={runner.id}>
            <a href={hrefOf("runners", [runner.id])}>{runner.id}</a> <Status {...troubleOf(runner)} />
          </li>
        ))}
      </ul>
      {troubled.length > SHOWN_TROUBLES && <a href={hrefOf("runners")}>All {count(troubled.length)}</a>}
    </section>
  );
}

function troubleOf({ state, targets, waitingDials }: Runner): { tone: Tone; text: string } {
  if (state !== "connected")
    return {
      tone: toneOfState(state),
      text: state === "gone" ? "its agent is not connected" : "its agent was lost and may be back soon",
    };
  const down = targets.filter(({ healthy }) => !healthy).map(({ name }) => name);
  if (down.length > 0) return { tone: "bad", text: `its agent cannot connect to ${down.join(", ")}` };
  return { tone: "warn", text: `${plural(waitingDials, "dial")} wait` };
}

const EVENT_TEXTS: Readonly<Record<string, readonly [Tone, string]>> = {
  connected: ["ok", "connected"],
  lost: ["bad", "lost its agent"],
  replaced: ["warn", "has a newer process of its agent"],
  rerouted: ["warn", "is reached another way"],
  "grace-expired": ["bad", "was not back in time"],
  "session-created": ["ok", "was created"],
  "session-lost": ["bad", "lost its instance"],
  "session-back": ["ok", "is back"],
  "session-ended": ["idle", "has ended"],
};

function Events(): JSX.Element {
  const list = recentEvents.value;
  if (list.length === 0) return <p class="faint">Nothing has connected or was lost.</p>;
  return (
    <ol class="history">
      {list.slice(0, SHOWN_EVENTS).map(({ at, type, runner, session }, index) => {
        const [tone, text] = EVENT_TEXTS[type] ?? (["idle", type] as const);
        return (
          <li key={list.length - index}>
            <time dateTime={new Date(at).toISOString()}>{time(at)}</time>
            <Mark tone={tone} />
            <span>
              {runner === undefined ? (session ?? "") : <a href={hrefOf("runners", [runner])}>{runner}</a>}{" "}
              {text}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
