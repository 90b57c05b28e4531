/** Labelled inputs. */
import type { ComponentChildren, JSX, TargetedInputEvent } from "preact";
import { useId } from "preact/hooks";
import { Icon } from "./icon.tsx";

export interface FieldProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  hint?: ComponentChildren;
  error?: string | undefined;
  type?: "text" | "password";
  autocomplete?: string;
  autofocus?: boolean;
  required?: boolean;
  placeholder?: string;
}

export function Field({
  label,
  value,
  onInput,
  hint,
  error,
  type = "text",
  autocomplete = "off",
  autofocus = false,
  ...rest
}: FieldProps): JSX.Element {
  const id = useId();
  const attributes = {
    ...rest,
    id,
    value,
    autocomplete,
    spellcheck: false,
    // The first thing to do in a view or a dialog that consists of a form.
    ref: autofocus ? focusOnce : null,
    "aria-invalid": error !== undefined,
    "aria-describedby": `${id}-hint`,
    onInput: (event: TargetedInputEvent<HTMLInputElement>) => onInput(event.currentTarget.value),
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {type === "password" ? (
        <input {...attributes} type="password" />
      ) : (
        <input {...attributes} type="text" />
      )}
      <div id={`${id}-hint`} class={error === undefined ? "hint" : "hint bad-text"}>
        {error ?? hint}
      </div>
    </div>
  );
}

function focusOnce(element: HTMLInputElement | null): void {
  element?.focus();
}

export function Search({
  label,
  value,
  onInput,
}: {
  label: string;
  value: string;
  onInput: (value: string) => void;
}): JSX.Element {
  return (
    <label class="search">
      <Icon name="search" />
      <span class="visually-hidden">{label}</span>
      <input
        type="search"
        placeholder={label}
        value={value}
        spellcheck={false}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}

export function Select<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: T;
  options: readonly (readonly [T, string])[];
  onChange: (value: T) => void;
}): JSX.Element {
  return (
    <label class="select">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}
