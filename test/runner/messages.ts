/** What a test process tells the runner, as JSON lines on file descriptor 3. */
export type Message =
  | { type: "running"; name: string }
  | { type: "passed"; name: string }
  | { type: "failed"; name: string; error: string }
  | { type: "skipped" | "todo"; name: string; reason: string }
  /** Every test of the file has ended; the process should end too. */
  | { type: "done" }
  /** What still keeps the process alive some time after `done`. */
  | { type: "open"; resources: string[] }
  /** At its exit, with those of its children that it has waited for. */
  | { type: "usage"; cpuMs: number };
