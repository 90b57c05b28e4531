/** A state as a word with a mark beside it: the mark's form differs, not its colour alone. */
import type { JSX } from "preact";
import type { Tone } from "./tone.ts";

const MARKS: Readonly<Record<Tone, JSX.Element>> = {
  ok: <circle cx="5" cy="5" r="4" />,
  warn: <path d="M5 .8 9.4 9H.6z" />,
  bad: <path d="M1 1h8v8H1z" />,
  idle: <circle cx="5" cy="5" r="3.2" class="hollow" />,
};

export function Mark({ tone }: { tone: Tone }): JSX.Element {
  return (
    <svg class={`mark ${tone}`} viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">
      {MARKS[tone]}
    </svg>
  );
}

export function Status({ tone, text }: { tone: Tone; text: string }): JSX.Element {
  return (
    <span class={`status ${tone}`}>
      <Mark tone={tone} />
      {text}
    </span>
  );
}
