/** A button that shows that its action runs, and cannot be pressed twice. */
import type { ComponentChildren, JSX } from "preact";
import { Icon } from "./icon.tsx";
import type { IconName } from "./icon.tsx";

export interface ButtonProps {
  children?: ComponentChildren;
  kind?: "plain" | "primary" | "danger";
  type?: "button" | "submit";
  icon?: IconName;
  /** For screen readers, where the button has no text. */
  label?: string;
  busy?: boolean;
  disabled?: boolean;
  pressed?: boolean;
  onPress?: () => void;
}

export function Button({
  children,
  kind = "plain",
  type = "button",
  icon,
  label,
  busy = false,
  disabled = false,
  pressed,
  onPress,
}: ButtonProps): JSX.Element {
  return (
    <button
      type={type}
      class={`button ${kind}${children === undefined ? " bare" : ""}`}
      aria-label={label}
      title={label}
      aria-busy={busy}
      aria-pressed={pressed}
      disabled={disabled || busy}
      onClick={onPress}
    >
      {icon !== undefined && <Icon name={icon} />}
      {children}
    </button>
  );
}
