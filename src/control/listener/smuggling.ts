/**
 * Requests that two servers could read in two ways. A front that decides by one reading, and we by the other, would let
 * something pass that both refuse; so neither reading is taken. What is left of it (lengths, line ends, control bytes) is
 * refused by the parsers below us.
 */
import { TurnaboutError } from "../../wire/errors.ts";
import { hasBody } from "./messages.ts";
import type { AnyRequest } from "./messages.ts";

/** @throws TurnaboutError `bad_request` */
export function refuseAmbiguous(request: AnyRequest): void {
  const { headers, rawHeaders } = request;
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === "host") hosts += 1;
  }
  if (hosts > 1) throw new TurnaboutError("bad_request", "more than one Host (RFC 9112 §3.2)");
  const authority = (headers as { ":authority"?: string | undefined })[":authority"];
  if (authority !== undefined && hosts === 1 && headers.host?.toLowerCase() !== authority.toLowerCase()) {
    throw new TurnaboutError("bad_request", "Host is not the :authority (RFC 9113 §8.3.1)");
  }
  if (headers.host !== undefined && NO_HOST.test(headers.host)) {
    throw new TurnaboutError("bad_request", "Host is not HOST or HOST:PORT (RFC 9112 §3.2)");
  }
  if (request.url?.includes("#") === true) {
    throw new TurnaboutError("bad_request", "a fragment in the request target (RFC 9112 §3.2)");
  }
  if (request.httpVersion === "1.0" && headers["transfer-encoding"] !== undefined) {
    throw new TurnaboutError("bad_request", "Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)");
  }
  // Bytes behind it are the tunnel's to us, and a body to a front.
  if (request.httpVersionMajor === 1 && request.method === "CONNECT" && hasBody(request)) {
    throw new TurnaboutError("bad_request", "a CONNECT with a request body (RFC 9110 §9.3.6)");
  }
}

/** What a front may take for a path, for credentials, or for the end of the name. */
const NO_HOST = /[\s/?#@\\,]/;

/** Bytes behind the header would be a body to a front and frames to us. @throws TurnaboutError `bad_request` */
export function refuseUpgradeWithBody(request: AnyRequest): void {
  if (hasBody(request)) throw new TurnaboutError("bad_request", "an upgrade with a request body");
}
