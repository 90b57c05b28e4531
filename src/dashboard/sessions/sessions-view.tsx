/** Sessions with what their screens show, and for admins the instances that they run on. */
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { call } from "../api/client.ts";
import { Button } from "../parts/button.tsx";
import { Search } from "../parts/field.tsx";
import { Empty, Failed, Loading } from "../parts/notice.tsx";
import { useLoaded } from "../state/loaded.ts";
import { hrefOf, route } from "../state/route.ts";
import { runnerOf, sessionChanges } from "../state/runners.ts";
import { isAdmin } from "../state/sign-in.ts";
import { plural } from "../text/format.ts";
import { Instances } from "./instances.tsx";
import { NewSessionDialog } from "./new-session.tsx";
import { SessionCard } from "./session-card.tsx";

const REFRESH_MS = 15_000;

export function SessionsView(): JSX.Element {
  const isInstances = isAdmin.value && route.value.rest[0] === "instances";
  return (
    <section class="view">
      <header class="view-head">
        <h1>Sessions</h1>
        {isAdmin.value && (
          <ul class="tabs">
            <li>
              <a href={hrefOf("sessions")} aria-current={isInstances ? undefined : "true"}>
                Sessions
              </a>
            </li>
            <li>
              <a href={hrefOf("sessions", ["instances"])} aria-current={isInstances ? "true" : undefined}>
                Instances
              </a>
            </li>
          </ul>
        )}
      </header>
      {isInstances ? <Instances /> : <Sessions />}
    </section>
  );
}

function Sessions(): JSX.Element {
  const [text, setText] = useState("");
  const [isCreating, setCreating] = useState(false);
  const sandboxes = useRef<readonly string[]>([]);
  const states = sandboxes.current.map((runner) => runnerOf(runner)?.state ?? "").join(" ");
  const { value, error, reload } = useLoaded(
    () => call("get", "/api/v1/sessions", {}),
    `${sessionChanges.value} ${states}`,
    REFRESH_MS,
  );
  sandboxes.current = value?.sessions.map(({ runner }) => runner) ?? [];
  if (value === undefined)
    return error === undefined ? (
      <Loading what="sessions" />
    ) : (
      <Failed what="The list of sessions" error={error} onRetry={reload} />
    );
  const wanted = text.toLowerCase();
  const shown = value.sessions.filter(({ id, name, owner, wolf_instance_id: instance }) =>
    [id, name, owner, instance].some((part) => part.toLowerCase().includes(wanted)),
  );
  return (
    <>
      <div class="toolbar">
        <Search label="Search sessions" value={text} onInput={setText} />
        <span class="faint">{plural(value.sessions.length, "session")}</span>
        <Button kind="primary" onPress={() => setCreating(true)}>
          New session
        </Button>
      </div>
      {shown.length === 0 ? (
        <Empty title={value.sessions.length === 0 ? "No session runs" : "No session matches"}>
          {value.sessions.length === 0 && <p>A new one starts on the instance with the most room.</p>}
        </Empty>
      ) : (
        <ul class="cards">
          {shown.map((session) => (
            <SessionCard key={session.id} session={session} onChange={reload} />
          ))}
        </ul>
      )}
      {isCreating && <NewSessionDialog onClose={() => setCreating(false)} onCreated={reload} />}
    </>
  );
}
