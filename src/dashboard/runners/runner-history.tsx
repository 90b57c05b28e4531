/** When a runner has connected and was lost, and why. */
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { callPath } from "../api/client.ts";
import type { RunnerEvent } from "../api/types.ts";
import { Failed, Loading } from "../parts/notice.tsx";
import { Mark } from "../parts/status.tsx";
import type { Tone } from "../parts/tone.ts";
import { useLoaded } from "../state/loaded.ts";
import { dateTime, span } from "../text/format.ts";

interface Line {
  tone: Tone;
  text: string;
}

/** @param stateKey changes when there may be something new */
export function RunnerHistory({ id, stateKey }: { id: string; stateKey: string }): JSX.Element {
  const load = useCallback(
    async () =>
      (await callPath("get", "/api/v1/runners/{id}/history", { path: { id } })) as { events: RunnerEvent[] },
    [id],
  );
  const { value, error, reload } = useLoaded(load, `${id} ${stateKey}`);
  if (value === undefined)
    return error === undefined ? (
      <Loading what="its history" />
    ) : (
      <Failed what="Its history" error={error} onRetry={reload} />
    );
  if (value.events.length === 0) return <p class="faint">Nothing since the control plane has started.</p>;
  return (
    <ol class="history">
      {value.events.map((event) => {
        const { tone, text } = describe(event);
        return (
          <li key={`${event.time} ${event.type} ${event.connection ?? ""}`}>
            <time dateTime={event.time}>{dateTime(event.time)}</time>
            <Mark tone={tone} />
            <span>{text}</span>
          </li>
        );
      })}
    </ol>
  );
}

export function describe(event: RunnerEvent): Line {
  const { type, connection, carrier, peer, credential, restarted, discovered, reason, lastedMs } = event;
  const by = [
    carrier,
    peer === undefined ? undefined : `from ${peer}`,
    credential === undefined ? undefined : `as ${credential}`,
  ]
    .filter((part) => part !== undefined)
    .join(" ");
  if (type === "connected") {
    const what = restarted === true ? "Connected, after a restart of its agent" : "Connected";
    return { tone: "ok", text: [what, by, connection].filter(Boolean).join(" · ") };
  }
  if (type === "lost") {
    const lasted = lastedMs === undefined ? "" : ` after ${span(lastedMs)}`;
    return { tone: "bad", text: `Lost${lasted}${reason === undefined ? "" : `: ${reason}`}` };
  }
  if (type === "replaced") return { tone: "warn", text: "Replaced by a newer process of its agent" };
  if (type === "rerouted")
    return {
      tone: "warn",
      text: discovered === true ? "Now by the agent that has discovered it" : "Now by its own agent",
    };
  if (type === "grace-expired") return { tone: "bad", text: "Not back in time: its dials no longer wait" };
  return { tone: "idle", text: type };
}
