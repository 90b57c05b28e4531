/** Bounds of commands that call a control plane. */

/** Hundreds of profiles. */
export const MAX_PROFILE_FILE_BYTES: number = 256 * 1024;
/** A token, or a PEM file of authorities. */
export const MAX_CREDENTIAL_BYTES: number = 1024 * 1024;
