/**
 * The agent door: on HTTP/1.1 `Upgrade: ptth` and `Upgrade: websocket`, on HTTP/2 Extended CONNECT with `:protocol: ptth`,
 * at the same path, with a bearer token.
 */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse, Http2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { offersHttp2 } from "../../wire/session/alpn.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import { hasEnded, widenConnection } from "../../wire/streams/end-stream.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { isShortText } from "../../wire/messages/hello.ts";
import { CARRIER_STREAM_WINDOW_BYTES, MAX_WEBSOCKET_MESSAGE_BYTES } from "../../wire/limits.ts";
import { HEADER, PTTH_ALPN, PTTH_UPGRADE_TOKEN, WEBSOCKET_SUBPROTOCOL } from "../../wire/protocol.ts";
import { StreamCarrier } from "../../wire/session/stream-carrier.ts";
import { VERSION } from "../../wire/version.ts";
import { webSocketStream } from "../../wire/session/websocket-carrier.ts";
import { authenticateBearer } from "../auth/authenticate.ts";
import type { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";
import { rawErrorAnswer, sendError } from "../listener/error-response.ts";
import type { Refuser } from "../listener/error-response.ts";
import { REFUSAL_LINGER_MS } from "../limits.ts";
import { admit } from "./admission.ts";
import type { Admission, AdmissionContext } from "./admission.ts";
import { runnersNamed } from "./endpoint-path.ts";

export interface UpgradeDoorContext extends AdmissionContext {
  draining: () => boolean;
  trustedProxies: TrustedProxies;
}

interface DoorRequest {
  headers: IncomingHttpHeaders;
  url: string | undefined;
  /** Upgrade token, or `:protocol`. */
  protocol: string | undefined;
}

export class AgentEndpoint {
  readonly #context: UpgradeDoorContext;
  readonly #websockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_WEBSOCKET_MESSAGE_BYTES,
    handleProtocols: (offered) => (offered.has(WEBSOCKET_SUBPROTOCOL) ? WEBSOCKET_SUBPROTOCOL : false),
  });

  constructor(context: UpgradeDoorContext) {
    this.#context = context;
  }

  /** Takes over the stream. Every refusal is a response in place of the 200. */
  handleStream(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const { stream, headers, url } = request;
    const { address: remoteAddress } = this.#context.trustedProxies.client(request);
    stream.on("error", () => {}); // permanently
    try {
      const admission = this.#check({ headers, url, protocol: PTTH_UPGRADE_TOKEN });
      stream.respond({ ":status": 200, alpn: PTTH_ALPN, [HEADER.version]: VERSION });
      widen(stream.session);
      const carrier: Carrier = { kind: "h2", stream: new StreamCarrier(stream), remoteAddress };
      void admit(carrier, admission, this.#context);
    } catch (error) {
      this.#refused(error, remoteAddress);
      if (!stream.destroyed) sendError(request, response, error);
    }
  }

  /** Takes over the socket. Every refusal is an HTTP answer before the upgrade. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { address: remoteAddress } = this.#context.trustedProxies.client(request);
    try {
      const { headers, url } = request;
      const protocol = headers.upgrade?.trim().toLowerCase();
      const admission = this.#check({ headers, url, protocol });
      const isPtth = protocol === PTTH_UPGRADE_TOKEN;
      const go = (carrier: Carrier) => void admit(carrier, admission, this.#context);
      if (isPtth) acceptPtth(socket, head, () => go({ kind: "ptth", stream: socket, remoteAddress }));
      else {
        this.#websockets.handleUpgrade(request, socket, head, (websocket) => {
          const stream = webSocketStream(websocket, socket);
          stream.on("error", () => {}); // for ever
          go({ kind: "websocket", stream, remoteAddress });
        });
      }
    } catch (error) {
      this.#refused(error, remoteAddress);
      refuseRaw(socket, error);
    }
  }

  #refused(error: unknown, peer: string): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#context.refusals.warn({ peer, reason }, "agent door: refused");
  }

  #check({ headers, url, protocol }: DoorRequest): Admission {
    const { registry, tokens, draining } = this.#context;
    if (draining()) throw new TurnaboutError("control_plane_draining", "agent door: shutting down");
    const identity = authenticateBearer(headers, tokens);
    const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((item) => item.trim());
    if (protocol === "websocket" && !offered.includes(WEBSOCKET_SUBPROTOCOL)) {
      throw new TurnaboutError(
        "upgrade_required",
        `agent door: no sub-protocol ${WEBSOCKET_SUBPROTOCOL} offered`,
      );
    }
    if (protocol === PTTH_UPGRADE_TOKEN && !offersHttp2(headers["alpn"])) {
      throw new TurnaboutError("upgrade_required", "agent door: ptth without h2 in its ALPN header");
    }
    const runners = runnersNamed(url ?? "");
    const standby = headers[HEADER.standby] === "1";
    const instance = headers[HEADER.instance];
    if (instance !== undefined && !isShortText(instance)) {
      throw new TurnaboutError(
        "bad_request",
        `agent door: ${HEADER.instance} has to have 1 to 128 characters`,
      );
    }
    registry.checkMayRegister(runners, identity, instance, standby);
    return { identity, standby, instance };
  }
}

const WIDENED = new WeakSet<Http2Session>();

/**
 * A caller's windows would hold a whole tunnel to 1 MiB per round trip. Once for a connection, which may carry the tunnels of
 * many agents: node destroys a session of which ten SETTINGS wait for their ACK.
 */
function widen(session: Http2Session | undefined): void {
  if (session === undefined || hasEnded(session) || WIDENED.has(session)) return;
  WIDENED.add(session);
  session.settings({ initialWindowSize: CARRIER_STREAM_WINDOW_BYTES });
  widenConnection(session, CARRIER_STREAM_WINDOW_BYTES);
}

function acceptPtth(socket: Duplex, head: Buffer, attach: () => void): void {
  (socket as Socket).setTimeout?.(0);
  if (head.length > 0) socket.unshift(head);
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Connection: Upgrade",
    `Upgrade: ${PTTH_UPGRADE_TOKEN}`,
    `ALPN: ${PTTH_ALPN}`,
    `${HEADER.version}: ${VERSION}`,
  ];
  // Never earlier: on TLS a session on top of a pending write aborts the process, on TCP the preface overtakes the 101.
  socket.write(`${lines.join("\r\n")}\r\n\r\n`, (error) => {
    if (error === null || error === undefined) attach();
    else socket.destroy();
  });
}

/** Answers on the raw socket and closes it, also if the peer never reads. */
export function refuseRaw(socket: Duplex, error: unknown, refuser: Refuser = "server"): void {
  if (socket.destroyed) return;
  socket.on("error", () => {}); // for ever
  const timer = setTimeout(() => socket.destroy(), REFUSAL_LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
  socket.resume(); // unread bytes would turn our close into a reset, and the answer would be lost
  socket.end(rawErrorAnswer(error, refuser));
}
