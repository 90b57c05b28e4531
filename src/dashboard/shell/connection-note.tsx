/** A line across the page while the connection to the control plane is lost: what is shown is then old. */
import type { JSX } from "preact";
import { Button } from "../parts/button.tsx";
import { now } from "../state/clock.ts";
import { events } from "../state/runners.ts";

export function ConnectionNote(): JSX.Element | null {
  const state = events.state.value;
  if (state.kind !== "lost") return null;
  const seconds = Math.max(0, Math.ceil((state.retryAt - now.value) / 1_000));
  return (
    <div class="lost" role="alert">
      <span>
        {state.reason} What you see may be old; the page tries again{" "}
        <span aria-hidden="true">{seconds === 0 ? "now" : `in ${seconds} s`}</span>.
      </span>
      <Button onPress={() => events.retryNow()}>Try now</Button>
    </div>
  );
}
