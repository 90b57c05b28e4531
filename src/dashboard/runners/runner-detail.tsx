/** One runner: what it is, how it is reached, what it offers, and what has happened to it. */
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { call } from "../api/client.ts";
import type { Runner } from "../api/types.ts";
import { Icon } from "../parts/icon.tsx";
import { Empty, Failed, Loading } from "../parts/notice.tsx";
import { Status } from "../parts/status.tsx";
import { toneOfState } from "../parts/tone.ts";
import { now } from "../state/clock.ts";
import { useLoaded } from "../state/loaded.ts";
import { hrefOf } from "../state/route.ts";
import { runnerOf, runners } from "../state/runners.ts";
import { ago, count, dateTime, ms, NOTHING } from "../text/format.ts";
import { streamsOf } from "./arrange.ts";
import { RunnerActions } from "./runner-actions.tsx";
import { RunnerCommands } from "./runner-commands.tsx";
import { Connections } from "./runner-connections.tsx";
import { RunnerHistory } from "./runner-history.tsx";
import { Targets } from "./runner-targets.tsx";

export function RunnerDetail({ id }: { id: string }): JSX.Element {
  const known = runnerOf(id);
  return (
    <section class="view">
      <p class="crumbs">
        <a href={hrefOf("runners")}>
          <Icon name="back" /> Runners
        </a>
      </p>
      {known === undefined ? <Unlisted id={id} /> : <Known runner={known} />}
    </section>
  );
}

/** Not in the list: it is still loading, or the runner is gone. */
function Unlisted({ id }: { id: string }): JSX.Element {
  const load = useCallback(() => call("get", "/api/v1/runners/{id}", { path: { id } }), [id]);
  const { value, error, reload } = useLoaded(load, `${id} ${runners.value === undefined}`);
  if (value !== undefined) return <Known runner={value} />;
  if (error?.status === 404)
    return (
      <Empty title={`No runner ${id}`}>
        <p>
          It is not known, or this sign-in may not see it. It was forgotten if its agent has been away for
          long.
        </p>
      </Empty>
    );
  if (error !== undefined) return <Failed what="The runner" error={error} onRetry={reload} />;
  return <Loading what="the runner" />;
}

function Known({ runner }: { runner: Runner }): JSX.Element {
  const { id, state, since, carrier, version, rttMs, connections, behind, targets, discovered } = runner;
  return (
    <>
      <header class="view-head">
        <h1 class="mono">{id}</h1>
        <Status tone={toneOfState(state)} text={state} />
        <RunnerActions runner={runner} />
      </header>
      {state !== "connected" && <Away runner={runner} />}
      <dl class="facts">
        <Fact
          name={state === "connected" ? "Connected" : "Since"}
          value={ago(since, now.value)}
          title={dateTime(since)}
        />
        <Fact name="Round trip" value={ms(rttMs)} />
        <Fact name="Open streams" value={count(streamsOf(runner))} />
        <Fact name="Waiting dials" value={count(runner.waitingDials)} />
        <Fact name="Carrier" value={carrier ?? NOTHING} />
        <Fact name="Version" value={version ?? NOTHING} />
        <Fact name="Credential" value={runner.credential ?? NOTHING} />
        <Fact name="Offered by" value={discovered ? "discovery" : "configuration"} />
      </dl>
      <h2>Targets</h2>
      <Targets runner={id} targets={targets} isConnected={state === "connected"} />
      <h2>Connections</h2>
      <Connections connections={connections} behind={behind} />
      {targets.length > 0 && <RunnerCommands runner={id} targets={targets} />}
      <h2>History</h2>
      <RunnerHistory id={id} stateKey={`${state} ${since}`} />
    </>
  );
}

function Away({ runner: { state, waitingDials } }: { runner: Runner }): JSX.Element {
  return (
    <p class="callout warn">
      {state === "reconnecting"
        ? `Its agent was lost a moment ago. Dials wait for it${waitingDials > 0 ? `: ${count(waitingDials)} now` : ""}.`
        : "Its agent is not connected: requests to its targets get 503 runner_offline."}{" "}
      Check that the agent runs, and its log. The history below has the reason of the last loss.
    </p>
  );
}

function Fact({ name, value, title }: { name: string; value: string; title?: string }): JSX.Element {
  return (
    <div>
      <dt>{name}</dt>
      <dd title={title}>{value}</dd>
    </div>
  );
}
