/** What this control plane has besides the tunnel: a product on it may have sessions. */
import { signal } from "@preact/signals";
import { callPath } from "../api/client.ts";

export const hasSessions = signal(false);

export async function findFeatures(): Promise<void> {
  try {
    await callPath("get", "/api/v1/sessions");
    hasSessions.value = true;
  } catch {
    hasSessions.value = false; // 404 without it; for other reasons the view would show no more
  }
}
