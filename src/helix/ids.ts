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

/** Of a desktop's own agent, as later containers name it: the same server in the same session. */
export function desktopRunner(sessionId: string): string {
  return `desktop-${sessionId}`;
}

/** All that belong to a session. */
export function runnersOfSession(sessionId: string): string[] {
  return [sandboxRunner(sessionId), desktopRunner(sessionId)];
}

export function wolfRunner(instanceId: string): string {
  return `wolf-${instanceId}`;
}

export function moonlightRunner(instanceId: string): string {
  return `moonlight-${instanceId}`;
}

/** The session of a sandbox's or a desktop's runner id; undefined for any other runner. */
export function sessionOfRunner(runnerId: string): string | undefined {
  return /^(?:sandbox|desktop)-(ses_.*)$/.exec(runnerId)?.[1];
}

/** The instance of a Wolf's runner id; undefined for any other runner. */
export function instanceOfRunner(runnerId: string): string | undefined {
  return runnerId.startsWith("wolf-") ? runnerId.slice("wolf-".length) : undefined;
}

/** The target's name on a runner of Helix's agents, each of which serves one; undefined for any other runner. */
export function targetOfRunner(runnerId: string): string | undefined {
  const [prefix = ""] = runnerId.split("-", 1);
  return runnerId.includes("-") ? TARGETS.get(prefix) : undefined;
}

const TARGETS: ReadonlyMap<string, string> = new Map([
  ["wolf", "wolf"],
  ["moonlight", "moonlight"],
  ["sandbox", "screenshot"],
  ["desktop", "screenshot"],
]);

/** Helix's browser code sends `agent-ses_…[-suffix]` where it means the session. */
export function sessionOfQuery(value: string): string {
  return /^agent-(ses_[a-z0-9_]+)(?:-.*)?$/.exec(value)?.[1] ?? value;
}
