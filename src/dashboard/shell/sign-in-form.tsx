/** Sign-in with a token. The control plane gives the browser a cookie for it, and the field is emptied. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { unreachable } from "../api/api-error.ts";
import { Button } from "../parts/button.tsx";
import { Field } from "../parts/field.tsx";
import { signInWith } from "../state/sign-in.ts";
import { Logo } from "./logo.tsx";
import { ThemeButton } from "./theme-button.tsx";

const REASONS: Readonly<Record<string, string>> = {
  unauthenticated: "This token is not known, has expired or was revoked.",
  not_allowed: "This is the token of a runner: use one of an admin or of a user.",
  tls_required: "The control plane takes tokens over https only: open this page with https://.",
  origin_not_allowed:
    "The control plane does not take this address for its own: check the reverse proxy's Host.",
  rate_limited: "Too many attempts from this address: wait a moment.",
};

export function SignInForm({ hasEnded }: { hasEnded: boolean }): JSX.Element {
  const [token, setToken] = useState("");
  const [failure, setFailure] = useState<string>();
  const [busy, setBusy] = useState(false);
  const submit = (event: Event): void => {
    event.preventDefault();
    if (token.trim() === "") return setFailure("Paste a token first.");
    setBusy(true);
    setFailure(undefined);
    signInWith(token.trim()).catch((cause: unknown) => {
      const { code, message } = unreachable(cause);
      setBusy(false);
      setFailure(REASONS[code] ?? message);
    });
  };
  return (
    <main class="alone">
      <form class="sign-in" onSubmit={submit} noValidate>
        <h1>
          <Logo /> Turnabout
        </h1>
        {hasEnded && (
          <p class="callout" role="status">
            Your sign-in has ended: after half an hour without use, or because the control plane was
            restarted. This page is kept for when you are back.
          </p>
        )}
        <Field
          label="Token"
          type="password"
          value={token}
          onInput={setToken}
          autocomplete="current-password"
          autofocus
          required
          error={failure}
          hint={
            <>
              The first line of what <code>turnabout token</code> printed. An admin's shows everything, a
              user's what is the user's own.
            </>
          }
        />
        <Button kind="primary" type="submit" busy={busy}>
          Sign in
        </Button>
      </form>
      <footer class="faint">
        <a href="docs">API reference</a>
        <ThemeButton />
      </footer>
    </main>
  );
}
