/**
 * Keeps the desktop's own browser out.
 *
 * This server authenticates no caller, and a web page that the desktop's browser shows can send requests to
 * `localhost:9876`: without this check any page could run programs or read the clipboard. What decides is what a page
 * cannot choose (Fetch, "forbidden request-header"): `Host`, `Origin` and `Sec-Fetch-Site`.
 *
 * - The control plane and its clients send `Host: localhost`. A browser that shows a page of ours, or asks us on behalf
 *   of another one, names the port.
 * - A page whose own name was made to point at us (DNS rebinding) is of our origin to the browser and may set any other
 *   field, but its `Host` is that name. No outsider can assign addresses, names without a dot, or names below one of
 *   our runners.
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

const HTTP_PORT = 80;

export function isFromLocalPage({
  headers,
  socket,
}: {
  headers: IncomingMessage["headers"];
  socket: Pick<IncomingMessage["socket"], "localPort">;
}): boolean {
  const { host } = headers;
  // HTTP/1.0: no browser.
  if (host !== undefined) {
    if (host === "localhost" && socket.localPort !== HTTP_PORT) return false;
    if (!isOurs(host)) return true;
  }
  const site = headers["sec-fetch-site"];
  return headers.origin !== undefined || (site !== undefined && site !== "none");
}

function isOurs(host: string): boolean {
  const [, bracketed, name = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/.exec(host) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  if (isIP(name) === 4) return true;
  return /^[a-z0-9_-]+(?:\.sandbox-[a-z0-9_-]+)?$/i.test(name);
}
