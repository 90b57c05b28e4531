/** What happens to sessions: for `GET /api/v1/events` and for the option `onEvent`. */
export type SessionEvent =
  | { type: "session-created"; session: string; owner: string; instance: string }
  | { type: "session-lost"; session: string; owner: string; instance: string }
  | { type: "session-back"; session: string; owner: string; instance: string }
  | { type: "session-ended"; session: string; owner: string; reason: string };
