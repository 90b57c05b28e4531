/**
 * What a user reaches of Moonlight Web's own page, by its paths below `/moonlight/s/{session}`: what the pages of its three
 * dialects call for one who views. Helix's fork has no users; of the versions that have, `/api/user` and `/api/role` without
 * a query are the viewer's own. All else is administration, for admins.
 */
import type { TargetRequest } from "../../control/extension.ts";
import { isReading, isSignalling, mayUseMoonlight } from "./viewer-access.ts";

/** Besides what {@link mayUseMoonlight} has: the page shows no host without its details. */
const READ: ReadonlySet<string> = new Set([
  "/api/host",
  "/api/settings/default",
  "/api/settings/permissions",
]);
const OWN: ReadonlySet<string> = new Set(["/api/user", "/api/role"]);

const WEBRTC = "/api/host/stream/webrtc";
const WEBRTC_STREAM = /^\/api\/host\/stream\/webrtc\/(\d{1,20})$/;

/** Where a version without signalling WebSocket takes an offer (WHEP). */
export function isOffer(path: string, { method, isWebSocket }: TargetRequest): boolean {
  return path === WEBRTC && method === "POST" && !isWebSocket;
}

/** The id in the path of a stream that such an offer has made. */
export function webRtcStreamOf(path: string): string | undefined {
  return WEBRTC_STREAM.exec(path)?.[1];
}

/**
 * @param path of Moonlight Web's own, with or without a query
 * @param hasStream whether a stream that an offer has made is one of the session's
 */
export function mayUsePage(
  path: string,
  request: TargetRequest,
  hasStream: (id: string) => boolean,
): boolean {
  const { method, isWebSocket } = request;
  if (isWebSocket) return isSignalling(path);
  if (isReading(method)) {
    const [bare = ""] = path.split("?", 1);
    return mayUseMoonlight(path, request) || READ.has(bare) || OWN.has(path);
  }
  if (path === WEBRTC) return method === "OPTIONS" || method === "POST";
  const id = webRtcStreamOf(path);
  return id !== undefined && (method === "PATCH" || method === "DELETE") && hasStream(id);
}
