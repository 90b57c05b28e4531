/**
 * `h2`: the tunnel connection inside one stream of an ordinary HTTP/2 connection, opened by Extended CONNECT with
 * `:protocol: ptth` (draft-kazuho-ptth-ptth-01, RFC 8441). For reverse proxies that speak HTTP/2 only. Two layers of frames.
 */
import http2 from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, Settings } from "node:http2";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { offersHttp2 } from "../../wire/tls/alpn.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import {
  endHttp2Session,
  guardHttp2Session,
  hasEnded,
  widenConnection,
} from "../../wire/streams/end-stream.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { Guard } from "../../wire/streams/guard.ts";
import {
  CARRIER_DESTROY_DELAY_MS,
  CARRIER_STREAM_WINDOW_BYTES,
  MAX_FRAME_BYTES,
  HTTP2_SESSION_MEMORY_MB,
} from "../../wire/limits.ts";
import { PTTH_ALPN, PTTH_UPGRADE_TOKEN } from "../../wire/protocol.ts";
import { StreamCarrier } from "../../wire/session/stream-carrier.ts";
import { openTransport } from "../transport/transport.ts";
import type { CarrierOptions } from "./dial-carrier.ts";
import { upgradeRefused } from "./upgrade-refused.ts";

export async function dialH2(options: CarrierOptions): Promise<Carrier> {
  const transport = await openTransport({ ...options, alpn: ["h2"] });
  if (transport instanceof TLSSocket && transport.alpnProtocol !== "h2") {
    transport.destroy();
    throw failed("the TLS peer did not select h2");
  }
  const http2Session = http2.connect(options.url.origin, {
    createConnection: () => transport,
    maxSessionMemory: HTTP2_SESSION_MEMORY_MB,
    settings: {
      enablePush: false,
      initialWindowSize: CARRIER_STREAM_WINDOW_BYTES,
      maxFrameSize: MAX_FRAME_BYTES,
    },
  });
  guardHttp2Session(http2Session);
  http2Session.on("error", () => {}); // permanently; the carrier's owner acts on 'close'
  try {
    const stream = await openStream(http2Session, options);
    const carrier = new StreamCarrier(stream);
    carrier.once("close", () => closeOuter(http2Session, transport));
    const { remoteAddress } = transport as { remoteAddress?: string };
    return { kind: "h2", stream: carrier, remoteAddress };
  } catch (error) {
    endHttp2Session(http2Session, error as Error);
    transport.destroy();
    throw error;
  }
}

/** Resolves when the endpoint has responded 200. */
async function openStream(
  http2Session: ClientHttp2Session,
  options: CarrierOptions,
): Promise<ClientHttp2Stream> {
  const { signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Stream>();
  const onError = (cause: Error) => reject(failed(`the peer does not speak HTTP/2: ${cause.message}`, cause));
  const onClose = () => reject(failed("the connection was closed"));
  const onAbort = () => reject(failed("no response to Extended CONNECT in time"));
  http2Session.once("error", onError);
  http2Session.once("close", onClose);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  // Until then it is unknown whether the peer accepts Extended CONNECT (RFC 8441 §3).
  const onSettings = ({ enableConnectProtocol }: Settings): void => {
    if (hasEnded(http2Session)) return reject(failed("the connection was closed after its SETTINGS"));
    if (enableConnectProtocol !== true) return reject(failed("the HTTP/2 peer offers no Extended CONNECT"));
    widenConnection(http2Session, CARRIER_STREAM_WINDOW_BYTES);
    const stream = http2Session.request(requestHeaders(options), { endStream: false });
    stream.once("close", () => reject(failed(`the stream was reset (code ${stream.rstCode})`)));
    stream.once("response", (headers) => {
      const status = headers[":status"] ?? 0;
      if (status !== 200) {
        guard.run(async () => reject(await upgradeRefused({ status, headers, body: stream }, "h2")));
      } else if (offersHttp2(headers["alpn"])) resolve(stream);
      else reject(failed(`the peer chose ${String(headers["alpn"])} for the tunnel connection`));
    });
  };
  const guard = new Guard((error) => reject(failed(error.message, error)));
  http2Session.once("remoteSettings", guard.wrap(onSettings));
  try {
    return await promise;
  } finally {
    http2Session.off("error", onError);
    http2Session.off("close", onClose);
    signal.removeEventListener("abort", onAbort);
  }
}

function requestHeaders({ url, token, headers }: CarrierOptions): http2.OutgoingHttpHeaders {
  return {
    ":method": "CONNECT",
    ":protocol": PTTH_UPGRADE_TOKEN,
    ":scheme": url.protocol.slice(0, -1),
    ":authority": url.host,
    ":path": url.pathname + url.search,
    alpn: PTTH_ALPN,
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...headers,
  };
}

/** Closes the outer connection with its one stream. On a dead path no reply comes, so the wait is short. */
function closeOuter(http2Session: ClientHttp2Session, transport: Duplex): void {
  if (!http2Session.destroyed) http2Session.close();
  const timer = setTimeout(() => {
    endHttp2Session(http2Session, new Error("the carrier was closed"));
    transport.destroy();
  }, CARRIER_DESTROY_DELAY_MS);
  transport.once("close", () => clearTimeout(timer));
  if (transport.destroyed) clearTimeout(timer);
}

function failed(what: string, cause?: Error): TurnaboutError {
  return new TurnaboutError("carrier_failed", `h2: ${what}`, { cause });
}
