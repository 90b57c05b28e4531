/**
 * Which view is shown, kept in the fragment of the URL: `#/runners/gpu-1`. The server sees one page, so it works below any base
 * path, and a reload shows the same view.
 */
import { computed, signal } from "@preact/signals";

export interface Route {
  /** The first part: `runners`. */
  view: string;
  /** The other parts, decoded. */
  rest: readonly string[];
  query: URLSearchParams;
}

const fragment = signal(location.hash);
addEventListener("hashchange", () => {
  fragment.value = location.hash;
});

export function parseFragment(text: string): Route {
  const [path = "", query = ""] = text.replace(/^#?\/?/, "").split("?", 2);
  const [view = "", ...rest] = path.split("/").map(decoded);
  return { view, rest, query: new URLSearchParams(query) };
}

export const route = computed<Route>(() => parseFragment(fragment.value));

export function hrefOf(
  view: string,
  rest: readonly string[] = [],
  query: Record<string, string> = {},
): string {
  const path = [view, ...rest].map(encodeURIComponent).join("/");
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "")).toString();
  return `#/${path}${search === "" ? "" : `?${search}`}`;
}

export function goTo(href: string): void {
  location.hash = href;
}

/** Changes what a reload would show, without a step for the back button. */
export function replaceRoute(href: string): void {
  history.replaceState(null, "", href);
  fragment.value = href;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
