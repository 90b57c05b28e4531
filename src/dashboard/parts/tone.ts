/** How good a state is. */
export type Tone = "ok" | "warn" | "bad" | "idle";

export function toneOfState(state: string): Tone {
  if (state === "connected" || state === "running" || state === "online") return "ok";
  if (state === "reconnecting" || state === "creating" || state === "stopping") return "warn";
  return state === "gone" || state === "lost" || state === "offline" ? "bad" : "idle";
}
