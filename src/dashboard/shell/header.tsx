/** Navigation, the state of the live connection, the theme, and who is signed in. */
import type { JSX } from "preact";
import { unreachable } from "../api/api-error.ts";
import { Button } from "../parts/button.tsx";
import { Status } from "../parts/status.tsx";
import type { Tone } from "../parts/tone.ts";
import { hrefOf, route } from "../state/route.ts";
import { events } from "../state/runners.ts";
import { signOut, who } from "../state/sign-in.ts";
import { report } from "../state/toasts.ts";
import { Logo } from "./logo.tsx";
import { ThemeButton } from "./theme-button.tsx";
import { shownViews } from "./views.ts";

const LIVE: Readonly<Record<string, readonly [Tone, string]>> = {
  open: ["ok", "Live"],
  connecting: ["idle", "Connecting"],
  lost: ["bad", "Connection lost"],
  closed: ["idle", "Not live"],
};

export function Header(): JSX.Element {
  const view = route.value.view === "" ? "overview" : route.value.view;
  const [tone, text] = LIVE[events.state.value.kind] ?? (["idle", ""] as const);
  const leave = (): void => {
    signOut().catch((error: unknown) => report("bad", `Sign-out: ${unreachable(error).message}`));
  };
  return (
    <header class="top">
      <a class="brand" href={hrefOf("overview")}>
        <Logo /> Turnabout
      </a>
      <nav aria-label="Views">
        <ul>
          {shownViews().map(({ name, title }) => (
            <li key={name}>
              <a href={hrefOf(name)} aria-current={name === view ? "page" : undefined}>
                {title}
              </a>
            </li>
          ))}
        </ul>
      </nav>
      <div class="top-end">
        <span role="status" class="live">
          <Status tone={tone} text={text} />
        </span>
        <span class="who faint" title={who.value?.owner ?? undefined}>
          {who.value?.id}
        </span>
        <ThemeButton />
        <Button icon="out" label="Sign out" onPress={leave} />
      </div>
    </header>
  );
}
