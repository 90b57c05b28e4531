/** The views that the navigation shows, and who may open them. */
import type { JSX } from "preact";
import { AccessView } from "../access/access-view.tsx";
import { OverviewView } from "../overview/overview-view.tsx";
import { RequestsView } from "../requests/requests-view.tsx";
import { RunnersView } from "../runners/runners-view.tsx";
import { hasSessions } from "../state/features.ts";
import { isAdmin } from "../state/sign-in.ts";
import { SessionsView } from "../sessions/sessions-view.tsx";

export interface View {
  /** The first part of the fragment. */
  name: string;
  title: string;
  isForAdmins?: boolean;
  /** Only where the control plane has sessions. */
  needsSessions?: boolean;
  component: () => JSX.Element;
}

export const VIEWS: readonly View[] = [
  { name: "overview", title: "Overview", component: OverviewView },
  { name: "runners", title: "Runners", component: RunnersView },
  { name: "requests", title: "Requests", component: RequestsView },
  { name: "sessions", title: "Sessions", needsSessions: true, component: SessionsView },
  { name: "access", title: "Access", isForAdmins: true, component: AccessView },
];

/** Those that the navigation shows to who is signed in. */
export function shownViews(): readonly View[] {
  return VIEWS.filter(
    ({ isForAdmins = false, needsSessions = false }) =>
      (!isForAdmins || isAdmin.value) && (!needsSessions || hasSessions.value),
  );
}
