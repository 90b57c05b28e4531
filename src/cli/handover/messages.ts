/** What a serving process and the process that has started it send each other. */

/** To the process that was started. */
export type ToChild =
  /** After `prepared`: the store and the port are free for it. */
  | { type: "take-over" }
  /** Close the store and free its lock. */
  | { type: "release" }
  /** Open it again: the successor has failed. */
  | { type: "reopen" }
  /** The successor serves, as this process: drain and end. */
  | { type: "retire"; pid: number }
  /** The outcome of its `upgrade`, where it is not `retire`. */
  | { type: "upgrade-failed"; reason: string; hint: string }
  /** Drain and end; or end at once. */
  | { type: "stop"; atOnce: boolean };

/** To the process that has started it. */
export type ToParent =
  /** Options, files and certificates are checked. */
  | { type: "prepared" }
  | { type: "listening" }
  | { type: "released" }
  | { type: "reopened" }
  /** What was requested of it last has failed; before `listening`, its start. */
  | { type: "failed"; reason: string }
  /** Its operator wants a successor. */
  | { type: "upgrade" };

const TO_PARENT: ReadonlySet<string> = new Set<ToParent["type"]>([
  "prepared",
  "listening",
  "released",
  "reopened",
  "failed",
  "upgrade",
]);
const TO_CHILD: ReadonlySet<string> = new Set<ToChild["type"]>([
  "take-over",
  "release",
  "reopen",
  "retire",
  "upgrade-failed",
  "stop",
]);

/** Undefined for a message of another version, which is ignored. */
export function readToParent(value: unknown): ToParent | undefined {
  return hasType(value, TO_PARENT) ? (value as ToParent) : undefined;
}

export function readToChild(value: unknown): ToChild | undefined {
  return hasType(value, TO_CHILD) ? (value as ToChild) : undefined;
}

function hasType(value: unknown, types: ReadonlySet<string>): boolean {
  return (
    typeof value === "object" &&
    value !== null &&
    "type" in value &&
    typeof value.type === "string" &&
    types.has(value.type)
  );
}
