/** What each code means and what to do, as docs/errors.md has it: a file of the page, which is loaded with the first code. */
import { signal } from "@preact/signals";

export interface Explanation {
  when: string;
  remedy: string;
}

declare const EXPLANATIONS_FILE: string;

const all = signal<Readonly<Record<string, Explanation>> | undefined>(undefined);
let isLoading = false;

/** Undefined while they are loaded, or where there is none. */
export function explanationOf(code: string): Explanation | undefined {
  if (all.value === undefined && !isLoading) void load();
  return all.value !== undefined && Object.hasOwn(all.value, code) ? all.value[code] : undefined;
}

async function load(): Promise<void> {
  isLoading = true;
  try {
    const response = await fetch(new URL(EXPLANATIONS_FILE, import.meta.url));
    if (response.ok) all.value = (await response.json()) as Record<string, Explanation>;
  } catch {
    // the next code tries again
  } finally {
    isLoading = false;
  }
}
