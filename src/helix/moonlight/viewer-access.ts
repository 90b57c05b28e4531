/**
 * What of Moonlight Web a user may ask for. One Moonlight Web serves everybody's sessions on its instance and knows one
 * shared secret only, so behind it a user would be its administrator: its hosts, pairings and running streams are
 * everybody's. A user gets what a viewer needs, written in exactly this way; all else is for admins.
 */
import type { TargetRequest } from "../../control/extension.ts";

/** Lists of what the instance has, the same for each of its sessions; none names a session or a user. */
const API: ReadonlySet<string> = new Set(["/api/authenticate", "/api/hosts", "/api/apps", "/api/app/image"]);
/** Signalling, and the media over a WebSocket. Their first message is checked for the session that it names. */
const WEBSOCKETS: ReadonlySet<string> = new Set([
  "/api/host/stream",
  "/api/host/stream/web_socket",
  "/api/ws/stream",
]);
const READING: ReadonlySet<string> = new Set(["GET", "HEAD"]);

/** Plain segments: no escapes, no dots in front, no empty ones, so that no server can read it as another path. */
const FILE = /^(?:\/[a-z0-9_-][a-z0-9_.-]*)*\/?$/i;

export function isReading(method: string): boolean {
  return READING.has(method);
}

/** `/moonlight/api/x`, `/moonlight/x` → `/api/x`; a file of the page (`/moonlight/`, `/moonlight/a/b.js`) → itself. */
export function moonlightPath(rest: string): string {
  const path = rest === "" || rest.startsWith("?") ? `/${rest}` : rest;
  const [bare = ""] = path.split("?", 1);
  const isApi = bare === "/api" || bare.startsWith("/api/");
  return isApi || isFile(bare) ? path : `/api${path}`;
}

/** A WebSocket whose first message may name a session, and gets our credentials. @param path with or without a query */
export function isSignalling(path: string): boolean {
  const [bare = ""] = path.split("?", 1);
  return WEBSOCKETS.has(bare);
}

/** @param path of Moonlight Web's own, with or without a query */
export function mayUseMoonlight(path: string, { method, isWebSocket }: TargetRequest): boolean {
  const [bare = ""] = path.split("?", 1);
  if (isWebSocket) return isSignalling(path);
  if (!isReading(method)) return false;
  return API.has(bare) || (isFile(bare) && FILE.test(bare) && !/^\/api(?:\/|$)/i.test(bare));
}

/** Moonlight Web's API has no dots and no slash at the end; its page has nothing without. */
function isFile(bare: string): boolean {
  return bare.endsWith("/") || bare.slice(bare.lastIndexOf("/")).includes(".");
}
