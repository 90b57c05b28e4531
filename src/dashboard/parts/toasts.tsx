/** Reports of actions, in a corner, and read out by screen readers. */
import type { JSX } from "preact";
import { dismiss, toasts } from "../state/toasts.ts";
import { Button } from "./button.tsx";
import { Mark } from "./status.tsx";

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, kind, text }) => (
        <div key={id} class={`toast ${kind}`}>
          <Mark tone={kind} />
          <span>{text}</span>
          <Button icon="close" label="Dismiss" onPress={() => dismiss(id)} />
        </div>
      ))}
    </div>
  );
}
