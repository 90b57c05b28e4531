/** Bounds of the configuration file. */

/** An agent with all runners and targets that it may have needs less. */
export const MAX_CONFIG_FILE_BYTES: number = 1024 * 1024;
/** Problems of one file that are reported at once; the rest is often a consequence. */
export const MAX_REPORTED_PROBLEMS = 20;

/** Unknown variables that are reported: of one prefix, they are a handful. */
export const MAX_UNKNOWN_VARIABLES = 20;
