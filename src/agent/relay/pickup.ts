/** Requests of RevDial clients that connect for a dial, as a relay has to know them. */
import { AGENT_ENDPOINT_PATH, PICKUP_PARAMETER, SHORT_ENDPOINT_PATH } from "../../wire/protocol.ts";

/** @param url of the request */
export function isPickup(url: string): boolean {
  return new URLSearchParams(url.split("?", 2)[1]).has(PICKUP_PARAMETER);
}

/**
 * Where the relay forwards a request for the agent endpoint. The control plane tells two kinds of clients apart by the path of
 * a pick-up, so that stays; anything else goes to one path, which all intermediaries know.
 *
 * @param endpoint path of the agent endpoint, as the relay dials it
 */
export function forwardedPath(url: string, endpoint: string): string {
  const [path = ""] = url.split("?", 1);
  const query = url.slice(path.length);
  const isShort = isPickup(url) && !path.endsWith(AGENT_ENDPOINT_PATH);
  const base = endpoint.slice(0, -AGENT_ENDPOINT_PATH.length);
  return (isShort ? base + SHORT_ENDPOINT_PATH : endpoint) + query;
}
