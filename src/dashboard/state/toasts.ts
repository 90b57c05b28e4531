/** Short reports of what an action has done. Screen readers hear them. */
import { signal } from "@preact/signals";
import { MAX_TOASTS, TOAST_MS } from "../limits.ts";

export interface Toast {
  id: number;
  kind: "ok" | "bad";
  text: string;
}

export const toasts = signal<readonly Toast[]>([]);
let last = 0;

export function report(kind: Toast["kind"], text: string): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value, { id, kind, text }].slice(-MAX_TOASTS);
  setTimeout(() => dismiss(id), TOAST_MS);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}
