/** What a view shows in place of content: that it loads, that there is none, or why it has failed, and what to do. */
import type { ComponentChildren, JSX } from "preact";
import type { ApiError } from "../api/api-error.ts";
import { Button } from "./button.tsx";

export function Loading({ what }: { what: string }): JSX.Element {
  return (
    <p class="notice loading" role="status">
      <span class="spinner" aria-hidden="true" />
      Loading {what}…
    </p>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="notice empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

const ADVICE: Readonly<Record<string, string>> = {
  unreachable:
    "Check that the control plane runs and that this browser has a network. The page tries again by itself.",
  timeout: "It may be overloaded. Try again in a moment.",
  not_allowed: "Sign in with the token of an admin, or with one that covers this.",
  share_exceeded: "Close other windows of this page, or wait until their streams have ended.",
  rate_limited: "Wait a moment before you try again.",
};

export function Failed({
  what,
  error,
  onRetry,
}: {
  what: string;
  error: ApiError;
  onRetry?: (() => void) | undefined;
}): JSX.Element {
  const { message, code, requestId, details, status } = error;
  return (
    <div class="notice failed" role="alert">
      <h2>{what} could not be loaded</h2>
      <p>
        {message} {details.join(", ")}
      </p>
      <p>{ADVICE[code] ?? (status >= 500 ? "The control plane's log has the reason." : "")}</p>
      {requestId !== undefined && (
        <p class="faint">
          {code}, request <code>{requestId}</code>
        </p>
      )}
      {onRetry !== undefined && <Button onPress={onRetry}>Try again</Button>}
    </div>
  );
}
