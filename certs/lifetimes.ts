/** How long certificates live. Short lives make renewal an everyday thing, and a lost key a small loss. */

export const DAY_MS: number = 86_400_000;

export const CA_DAYS = 90;
/** Server, agents, peer (`--days`). */
export const LEAF_DAYS = 7;
/** More is no development certificate any more; browsers refuse longer server certificates as well. */
export const MAX_DAYS = 397;
/** A certificate is valid from a little before now: the other end's clock may be behind. */
export const CLOCK_SKEW_MS: number = 5 * 60_000;
/** `renew` takes what has less than this part of its life left. */
export const RENEW_BELOW: number = 1 / 3;
