/** One session: its screen, whose it is, where it runs, and its end. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { BASE, call } from "../api/client.ts";
import type { Session } from "../api/types.ts";
import { Button } from "../parts/button.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { Status } from "../parts/status.tsx";
import { toneOfState } from "../parts/tone.ts";
import { now } from "../state/clock.ts";
import { hrefOf } from "../state/route.ts";
import { runnerOf } from "../state/runners.ts";
import { report } from "../state/toasts.ts";
import { ago, dateTime } from "../text/format.ts";
import { Thumbnail } from "./thumbnail.tsx";

export function SessionCard({ session, onChange }: { session: Session; onChange: () => void }): JSX.Element {
  const [isStopping, setStopping] = useState(false);
  const { id, name, owner, state, reason, runner, created_at: createdAt } = session;
  // Events change the runner at once; the list of sessions is loaded now and then.
  const runnerState = runnerOf(runner)?.state ?? session.runner_state;
  const stop = async (): Promise<void> => {
    await call("delete", "/api/v1/sessions/{id}", { path: { id } });
    report("ok", `${name} is stopped`);
    onChange();
  };
  return (
    <li class="card">
      <Thumbnail session={id} name={name} isConnected={runnerState === "connected"} />
      <div class="card-body">
        <h2>{name}</h2>
        <Status tone={toneOfState(state)} text={reason === null ? state : `${state}: ${reason}`} />
        <dl class="lines">
          <div>
            <dt>Owner</dt>
            <dd>{owner}</dd>
          </div>
          <div>
            <dt>Instance</dt>
            <dd>{session.wolf_instance_id}</dd>
          </div>
          <div>
            <dt>Sandbox</dt>
            <dd>
              <a href={hrefOf("runners", [runner])}>{runnerState}</a>
            </dd>
          </div>
          <div>
            <dt>Created</dt>
            <dd title={dateTime(createdAt)}>{ago(createdAt, now.value)}</dd>
          </div>
        </dl>
        <div class="actions">
          <a
            class="button"
            href={`${BASE}/moonlight/s/${encodeURIComponent(id)}/`}
            target="_blank"
            rel="noreferrer"
          >
            Open the stream
          </a>
          <Button label={`Stop ${name}`} onPress={() => setStopping(true)}>
            Stop…
          </Button>
        </div>
      </div>
      {isStopping && (
        <Confirm title={`Stop ${name}?`} action="Stop" onClose={() => setStopping(false)} onConfirm={stop}>
          <p>
            The sandbox of {owner} ends at once, with everything that runs in it. Its place on the instance is
            free again.
          </p>
        </Confirm>
      )}
    </li>
  );
}
