/** The mark: a connection that is made one way, and used the other. */
import type { JSX } from "preact";

export function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" focusable="false">
      <path d="M3 8h12a5 5 0 0 1 0 10H7" />
      <path d="m11 13.5-4.5 4.5 4.5 4.5" />
    </svg>
  );
}
