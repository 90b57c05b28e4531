/** Bounds of Helix's side of the control plane, with their reasons. */

/** What one heartbeat is believed to have; of longer lists the first. */
export const MAX_HEARTBEAT_DISKS = 100;
export const MAX_HEARTBEAT_GPUS = 64;
export const MAX_HEARTBEAT_CONTAINERS = 1_000;
export const MAX_HEARTBEAT_DESKTOPS = 100;
/** Parts of a heartbeat that did not fit and are named in its response. */
export const MAX_HEARTBEAT_COMPLAINTS = 20;

/** Disk and GPU figures that are older say nothing any more: Helix's daemon sends them every 30 s, and gives up after 2 min. */
export const MAX_FIGURE_AGE_MS = 120_000;
