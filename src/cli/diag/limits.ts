/** Bounds of a diagnosis. */

/** Agents whose diagnosis is requested, and how many at once: each takes half a second and has at most 2 MiB. */
export const MAX_DIAGNOSED_AGENTS: number = 100;
export const AGENTS_AT_ONCE: number = 4;
