/** Light, dark, or as the system has it. The choice is kept in the browser. */
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "turnabout-theme";
const NEXT: Readonly<Record<Theme, Theme>> = { system: "light", light: "dark", dark: "system" };

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system"; // storage may be switched off
  }
}

export const theme = signal<Theme>(stored());
const dark = matchMedia("(prefers-color-scheme: dark)");
/** Changes whenever colours do, for what is drawn on a canvas. */
export const isDark = signal(false);

function apply(): void {
  document.documentElement.dataset["theme"] = theme.value;
  isDark.value = theme.value === "dark" || (theme.value === "system" && dark.matches);
}
apply();
dark.addEventListener("change", apply);

export function nextTheme(): void {
  theme.value = NEXT[theme.value];
  apply();
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // the choice holds until the page is left
  }
}
