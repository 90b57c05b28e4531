/**
 * Requests that are refused before routing. Some could be read in two ways by two servers: where a reverse proxy decides
 * by one reading and we by the other, a request passes that both would refuse. Neither reading is taken; lengths, line
 * ends and control bytes are left to node's parsers.
 */
import { ServerResponse } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { TurnaboutError } from "../../wire/errors.ts";
import { closeAfterResponse } from "../../wire/streams/end-stream.ts";
import type { Logger } from "../../wire/log.ts";
import { MAX_REQUEST_HEADER_BYTES } from "../limits.ts";
import { tlsRequired } from "../trusted-proxies/plaintext-policy.ts";
import type { PlaintextPolicy } from "../trusted-proxies/plaintext-policy.ts";
import { refuseRaw, sendError } from "./error-response.ts";
import { hasBody, hasBodyFields } from "./messages.ts";
import type { AnyRequest, AnyResponse, PortHandlers } from "./messages.ts";
import { RateLimitedLog } from "./rate-limited-log.ts";

/** RFC 9113 §6.5.2: added to each field's name and value. */
const FIELD_OVERHEAD_BYTES = 32;

/** What a reverse proxy may take for a path, for credentials, or for the end of the name. */
const NOT_IN_HOST = /[\s/?#@\\,]/;

/** A credential that came in plaintext from elsewhere is refused, whatever it is for: it is taken for stolen. */
export function refusingPlaintext(
  handlers: PortHandlers,
  policy: PlaintextPolicy,
  log: Logger,
): PortHandlers {
  const limited = new RateLimitedLog(log);
  const refusal = (request: AnyRequest): TurnaboutError | undefined => {
    const peer = policy.refusedAddress(request);
    if (peer === undefined) return undefined;
    const hint = "issue a new token for this caller, which has to use https; or see --plain-http-from";
    limited.warn(
      { peer, hint },
      "a credential came without TLS and is refused: it may have been read on the way",
    );
    return tlsRequired(peer);
  };
  return {
    ...handlers,
    request: (request, response) => {
      const error = refusal(request);
      return error === undefined ? handlers.request(request, response) : refuse(request, response, error);
    },
    connectStream: (request, response) => {
      const error = refusal(request);
      return error === undefined
        ? handlers.connectStream(request, response)
        : refuse(request, response, error);
    },
    upgrade: (request, socket, head) => {
      const error = refusal(request);
      return error === undefined ? handlers.upgrade(request, socket, head) : refuseRaw(socket, error);
    },
    connect: (request, socket, head) => {
      const error = refusal(request);
      return error === undefined ? handlers.connect(request, socket, head) : refuseRaw(socket, error);
    },
  };
}

/** RFC 9110 §10.1.1: 417. Without a listener node sends it with an empty body. */
export function refuseExpectation(request: AnyRequest, response: AnyResponse): void {
  refuse(request, response, new TurnaboutError("expectation_failed", "Expect is not 100-continue"));
}

/** RFC 9112 §3.2: every HTTP/1.1 request has a Host. */
export function refuseMissingHost(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.httpVersion !== "1.1" || request.headers.host !== undefined) return false;
  response.shouldKeepAlive = false;
  refuse(request, response, new TurnaboutError("bad_request", "HTTP/1.1 without Host"));
  return true;
}

/**
 * Holds HTTP/2 requests to the header limit of HTTP/1.1. node's own limit would reset the stream without a response, and
 * holds only once the client has seen our SETTINGS.
 */
export function refuseLargeHeader(request: Http2ServerRequest, response: AnyResponse): boolean {
  let bytes = 0;
  for (const [i, text] of request.rawHeaders.entries()) {
    bytes += text.length + (i % 2 === 0 ? FIELD_OVERHEAD_BYTES : 0);
  }
  if (bytes <= MAX_REQUEST_HEADER_BYTES) return false;
  refuse(request, response, new TurnaboutError("headers_too_large", `a header of ${bytes} bytes`));
  return true;
}

/** The body stalls, and no response has been sent. */
export function refuseBody(request: AnyRequest, response: AnyResponse): void {
  if (response instanceof ServerResponse) response.shouldKeepAlive = false;
  refuse(request, response, new TurnaboutError("request_timeout", "the request's body does not arrive"));
}

/** The response has been sent, and the rest of the body does not come. */
export function dropBody(request: AnyRequest): void {
  if ("stream" in request) closeAfterResponse(request.stream);
  else request.socket.destroy();
}

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
  if (headers.host !== undefined && NOT_IN_HOST.test(headers.host)) {
    throw new TurnaboutError("bad_request", "Host is not HOST or HOST:PORT (RFC 9112 §3.2)");
  }
  if (request.url?.includes("#") === true) {
    throw new TurnaboutError("bad_request", "a fragment in the request target (RFC 9112 §3.2)");
  }
  if (request.httpVersion === "1.0" && headers["transfer-encoding"] !== undefined) {
    throw new TurnaboutError("bad_request", "Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)");
  }
  // To us the bytes behind the header are the tunnel's; to a reverse proxy they are a body.
  if (request.method === "CONNECT" && hasBodyFields(request)) {
    throw new TurnaboutError("bad_request", "a CONNECT with a request body (RFC 9110 §9.3.6)", {
      details: ["CONNECT has no content: send it without Content-Length and Transfer-Encoding"],
    });
  }
}

/** To us the bytes behind the header would be frames, to a reverse proxy a body. @throws TurnaboutError `bad_request` */
export function refuseUpgradeWithBody(request: AnyRequest): void {
  if (hasBody(request)) throw new TurnaboutError("bad_request", "an upgrade with a request body");
}

function refuse(request: AnyRequest, response: AnyResponse, error: TurnaboutError): void {
  request.on("error", () => {}); // permanently: errors may come after the response
  response.on("error", () => {});
  request.resume();
  sendError(request, response, error);
}
