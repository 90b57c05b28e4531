/** Ids of sessions, and the runner ids that belong to them and to instances. */
import { randomBytes } from "node:crypto";

/** `ses_`, the time in base 36 (so that ids sort by age), and 64 random bits. */
export function newSessionId(): string {
  return `ses_${Date.now().toString(36).padStart(9, "0")}${randomBytes(8).toString("hex")}`;
}

const SESSION_ID = /^ses_[a-z0-9_]{1,100}$/;

export function isSessionId(value: string): boolean {
  return SESSION_ID.test(value);
}

export function sandboxRunner(sessionId: string): string {
  return `sandbox-${sessionId}`;
}

export function wolfRunner(instanceId: string): string {
  return `wolf-${instanceId}`;
}

export function moonlightRunner(instanceId: string): string {
  return `moonlight-${instanceId}`;
}

/** The session of a sandbox's runner id; undefined for any other runner. */
export function sessionOfRunner(runnerId: string): string | undefined {
  return runnerId.startsWith("sandbox-ses_") ? runnerId.slice("sandbox-".length) : undefined;
}

/** The instance of a Wolf's runner id; undefined for any other runner. */
export function instanceOfRunner(runnerId: string): string | undefined {
  return runnerId.startsWith("wolf-") ? runnerId.slice("wolf-".length) : undefined;
}

/** Helix's browser code sends `agent-ses_…[-suffix]` where it means the session. */
export function sessionOfQuery(value: string): string {
  return /^agent-(ses_[a-z0-9_]+)(?:-.*)?$/.exec(value)?.[1] ?? value;
}
