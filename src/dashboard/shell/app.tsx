/** The page: the sign-in form, or the views with their navigation. */
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Button } from "../parts/button.tsx";
import { Empty, Failed, Loading } from "../parts/notice.tsx";
import { Toasts } from "../parts/toasts.tsx";
import { RunnerDetail } from "../runners/runner-detail.tsx";
import { findFeatures } from "../state/features.ts";
import { hrefOf, route } from "../state/route.ts";
import { closeRunners, openRunners } from "../state/runners.ts";
import { findSignIn, isAdmin, signIn, who } from "../state/sign-in.ts";
import { ConnectionNote } from "./connection-note.tsx";
import { Header } from "./header.tsx";
import { SignInForm } from "./sign-in-form.tsx";
import { VIEWS } from "./views.ts";

export function App(): JSX.Element {
  const state = signIn.value;
  return (
    <>
      {state.kind === "unknown" && <Loading what="the page" />}
      {state.kind === "unreachable" && (
        <main class="alone">
          <Failed what="The page" error={state.error} onRetry={() => void findSignIn()} />
        </main>
      )}
      {state.kind === "out" && <SignInForm hasEnded={state.hasEnded} />}
      {state.kind === "in" && <Signed key={state.who.id} />}
      <Toasts />
    </>
  );
}

/** One line for screen readers and the window's title, and the focus at the top of what is new. */
function Signed(): JSX.Element {
  const { view, rest } = route.value;
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const place = `${view}/${view === "runners" ? rest.join("/") : ""}`;
  useEffect(() => {
    openRunners();
    void findFeatures();
    return closeRunners;
  }, []);
  useEffect(() => {
    const title = VIEWS.find(({ name }) => name === view)?.title ?? "Overview";
    document.title = `${rest[0] ?? title} · Turnabout`;
    if (isFirst.current) isFirst.current = false;
    else main.current?.focus();
    scrollTo(0, 0);
  }, [place]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => skipTo(event, main.current)}>
        Skip to content
      </a>
      <Header />
      <ConnectionNote />
      <main id="main" ref={main} tabIndex={-1}>
        <CurrentView key={place} />
      </main>
    </>
  );
}

function skipTo(event: Event, main: HTMLElement | null): void {
  event.preventDefault();
  main?.focus();
}

function CurrentView(): JSX.Element {
  const { view, rest } = route.value;
  const [id] = rest;
  if (view === "runners" && id !== undefined) return <RunnerDetail key={id} id={id} />;
  const found = VIEWS.find(({ name }) => name === (view === "" ? "overview" : view));
  if (found === undefined)
    return (
      <Empty title="There is no such view">
        <p>
          <a href={hrefOf("overview")}>Go to the overview</a>
        </p>
      </Empty>
    );
  if (found.isForAdmins === true && !isAdmin.value)
    return (
      <Empty title={`${found.title} is for admins`}>
        <p>You are signed in as {who.value?.id}. Sign out, and in with the token of an admin.</p>
        <Button onPress={() => (location.hash = hrefOf("overview"))}>Go to the overview</Button>
      </Empty>
    );
  const Component = found.component;
  return <Component />;
}
