/** From the system's theme to light, to dark, and back. */
import type { JSX } from "preact";
import { Button } from "../parts/button.tsx";
import type { IconName } from "../parts/icon.tsx";
import { nextTheme, theme } from "../state/theme.ts";
import type { Theme } from "../state/theme.ts";

const ICONS: Readonly<Record<Theme, IconName>> = { system: "system", light: "sun", dark: "moon" };
const LABELS: Readonly<Record<Theme, string>> = {
  system: "Theme: as the system. Change to light",
  light: "Theme: light. Change to dark",
  dark: "Theme: dark. Change to the system's",
};

export function ThemeButton(): JSX.Element {
  return <Button icon={ICONS[theme.value]} label={LABELS[theme.value]} onPress={nextTheme} />;
}
