/** Names that the processes of a run share. */
export const ADMIN_TOKEN = "bench-admin-token";
export const RUNNER = "bench";

/** Where the target's HTTP port is found at the control plane. */
export const API_PATH: string = `/api/v1/runners/${RUNNER}/targets/http/hello`;
