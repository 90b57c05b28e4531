/**
 * Keeps the desktop's own browser out.
 *
 * Nobody is asked who they are here, and a web page that the desktop's browser shows can send requests to
 * `localhost:9876`: without this check any page could run programs or read the clipboard. What comes through the
 * control plane says so (`X-Forwarded-Host`), which no page can add: WebSockets have no such fields, and for requests
 * the browser would ask us for permission first, which nobody gives.
 */
import type { IncomingHttpHeaders } from "node:http";

export function isFromLocalPage(headers: IncomingHttpHeaders): boolean {
  if (headers["x-forwarded-host"] !== undefined) return false;
  const site = headers["sec-fetch-site"];
  return headers.origin !== undefined || (site !== undefined && site !== "none");
}
