/** What a test process tells the runner, as JSON lines on file descriptor 3, and how the runner lets it go on. */
export type Message =
  | { type: "running"; name: string }
  | { type: "passed"; name: string }
  | { type: "failed"; name: string; error: string }
  | { type: "skipped"; name: string; reason: string }
  | { type: "todo"; name: string; reason: string }
  /** Every test of a file has ended, and so should the process, if it was the last file. */
  | { type: "done" }
  /** What a file has left open some time after `done`: the process is ended, and other files run in another. */
  | { type: "open"; resources: string[] }
  /** The file has left nothing open, and the process waits for a byte on {@link GO_ON} to begin the next. */
  | { type: "ended"; exitCode: number }
  /** Of the process so far, with those of its children that it has waited for: after every file, and at its exit. */
  | { type: "usage"; cpuMs: number };

/** File descriptors of a test process: what it writes to the runner, what it reads from it. */
export const CHANNEL = 3;
export const GO_ON = 4;
