/**
 * The agent endpoint: on HTTP/1.1 `Upgrade: ptth` and `Upgrade: websocket`, on HTTP/2 Extended CONNECT with
 * `:protocol: ptth`, at the same paths, with a bearer token.
 */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse, Http2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { offersHttp2 } from "../../wire/tls/alpn.ts";
import type { Carrier } from "../../wire/session/carrier.ts";
import { hasEnded, widenConnection } from "../../wire/streams/end-stream.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import { isShortText } from "../../wire/messages/hello.ts";
import {
  CARRIER_STREAM_WINDOW_BYTES,
  MAX_WEBSOCKET_CHUNKS,
  MAX_WEBSOCKET_FRAGMENTS,
  MAX_WEBSOCKET_MESSAGE_BYTES,
} from "../../wire/limits.ts";
import { HEADER, PTTH_ALPN, PTTH_UPGRADE_TOKEN, WEBSOCKET_SUBPROTOCOL } from "../../wire/protocol.ts";
import { StreamCarrier } from "../../wire/session/stream-carrier.ts";
import { VERSION } from "../../wire/version.ts";
import { webSocketStream } from "../../wire/session/websocket-carrier.ts";
import { authenticateBearer } from "../auth/authenticate.ts";
import type { Identity } from "../auth/identity.ts";
import type { InFlight } from "../in-flight/in-flight.ts";
import type { CallerShares } from "../shares/fair-shares.ts";
import type { TrustedProxies } from "../trusted-proxies/trusted-proxies.ts";
import { refuseRaw, sendError } from "../listener/error-response.ts";
import { admit, noteNotAllowed } from "./admission.ts";
import type { AdmissionContext, EndpointRequest } from "./admission.ts";
import { namesRunners, runnersNamed } from "./endpoint-path.ts";

export interface AgentEndpointContext extends AdmissionContext {
  draining: () => boolean;
  /** An agent that is let in is none of its callers. */
  inFlight: InFlight;
  shares: Pick<CallerShares, "anonymous" | "turns">;
  trustedProxies: TrustedProxies;
}

interface ReceivedRequest {
  headers: IncomingHttpHeaders;
  url: string | undefined;
  /** Upgrade token, or `:protocol`. */
  protocol: string | undefined;
}

export class AgentEndpoint {
  readonly #context: AgentEndpointContext;
  readonly #websockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_WEBSOCKET_MESSAGE_BYTES,
    maxBufferedChunks: MAX_WEBSOCKET_CHUNKS,
    maxFragments: MAX_WEBSOCKET_FRAGMENTS,
    handleProtocols: (offered) => (offered.has(WEBSOCKET_SUBPROTOCOL) ? WEBSOCKET_SUBPROTOCOL : false),
  });

  constructor(context: AgentEndpointContext) {
    this.#context = context;
  }

  /** Takes over the stream. A refusal is a response other than 200. */
  handleStream(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const { stream, headers, url } = request;
    const { address: remoteAddress } = this.#context.trustedProxies.client(request);
    stream.on("error", () => {}); // permanently
    try {
      const endpointRequest = this.#check({ headers, url, protocol: PTTH_UPGRADE_TOKEN });
      this.#context.inFlight.release(stream);
      stream.respond({ ":status": 200, alpn: PTTH_ALPN, [HEADER.version]: VERSION });
      widen(stream.session);
      const carrier: Carrier = { kind: "h2", stream: new StreamCarrier(stream), remoteAddress };
      void admit(carrier, endpointRequest, this.#context);
    } catch (error) {
      this.#logRefusal(error, remoteAddress);
      if (!stream.destroyed) sendError(request, response, this.#refusal(error, headers, remoteAddress));
    }
  }

  /** Takes over the socket. A refusal is an HTTP response other than 101. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { address: remoteAddress } = this.#context.trustedProxies.client(request);
    try {
      const { headers, url } = request;
      const protocol = headers.upgrade?.trim().toLowerCase();
      const endpointRequest = this.#check({ headers, url, protocol });
      this.#context.inFlight.release(socket);
      const start = (carrier: Carrier) => void admit(carrier, endpointRequest, this.#context);
      if (protocol === PTTH_UPGRADE_TOKEN) {
        acceptPtth(socket, head, () => start({ kind: "ptth", stream: socket, remoteAddress }));
      } else {
        this.#websockets.handleUpgrade(request, socket, head, (websocket) => {
          const stream = webSocketStream(websocket, socket);
          stream.on("error", () => {}); // permanently
          start({ kind: "websocket", stream, remoteAddress });
        });
      }
    } catch (error) {
      this.refuse(request, socket, error);
    }
  }

  /** Responds with a refusal in place of 101, and logs it unless it is nothing unusual. */
  refuse(request: IncomingMessage, socket: Duplex, error: unknown, isUsual = false): void {
    const { address } = this.#context.trustedProxies.client(request);
    if (!isUsual) this.#logRefusal(error, address);
    refuseRaw(socket, this.#refusal(error, request.headers, address));
  }

  /** An address with too many requests without a valid token gets another error. */
  #refusal(error: unknown, { authorization }: IncomingHttpHeaders, address: string): unknown {
    return this.#context.shares.anonymous.refusal(error, address, authorization !== undefined);
  }

  #logRefusal(error: unknown, peer: string): void {
    noteNotAllowed(error, this.#context);
    this.#context.refusalLog.warn({ peer, reason: toError(error).message }, "agent endpoint: refused");
  }

  /** @throws TurnaboutError `unauthenticated`, `control_plane_draining` */
  authenticate(headers: IncomingHttpHeaders): Identity {
    const { tokens, draining } = this.#context;
    if (draining())
      throw new TurnaboutError(
        "control_plane_draining",
        "agent endpoint: the control plane is shutting down",
      );
    return authenticateBearer(headers, tokens);
  }

  /** @throws TurnaboutError the reason of the refusal */
  #check({ headers, url, protocol }: ReceivedRequest): EndpointRequest {
    const identity = this.authenticate(headers);
    const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((item) => item.trim());
    if (protocol === "websocket" && !offered.includes(WEBSOCKET_SUBPROTOCOL)) {
      throw new TurnaboutError(
        "upgrade_required",
        `agent endpoint: WebSocket without the subprotocol ${WEBSOCKET_SUBPROTOCOL}`,
      );
    }
    if (protocol === PTTH_UPGRADE_TOKEN && !offersHttp2(headers["alpn"])) {
      throw new TurnaboutError("upgrade_required", "agent endpoint: ptth without h2 in the ALPN header");
    }
    const { agentBudgets, registry } = this.#context;
    const isCheck = headers[HEADER.check] !== undefined;
    const runners = isCheck && !namesRunners(url ?? "") ? [] : runnersNamed(url ?? "");
    const standby = headers[HEADER.standby] === "1";
    const processId = headers[HEADER.instance];
    if (processId !== undefined && !isShortText(processId)) {
      throw new TurnaboutError(
        "bad_request",
        `agent endpoint: ${HEADER.instance} must have 1 to 128 characters`,
      );
    }
    registry.checkMayRegister(runners, identity, processId, standby);
    const [runner = ""] = runners;
    agentBudgets.of(identity.id).checkConnect(runner);
    return { identity, standby, runner, processId, isCheck };
  }
}

/** Connections whose windows have been raised. */
const WIDENED = new WeakSet<Http2Session>();

/**
 * Raises the windows of a caller's connection, which would limit a whole tunnel to 1 MiB per round trip. Once for each
 * connection, which may carry the tunnels of many agents: Node destroys a session with ten SETTINGS that wait for their ACK.
 */
function widen(session: Http2Session | undefined): void {
  if (session === undefined || hasEnded(session) || WIDENED.has(session)) return;
  WIDENED.add(session);
  session.settings({ initialWindowSize: CARRIER_STREAM_WINDOW_BYTES });
  widenConnection(session, CARRIER_STREAM_WINDOW_BYTES);
}

function acceptPtth(socket: Duplex, head: Buffer, onSent: () => void): void {
  (socket as Socket).setTimeout?.(0);
  if (head.length > 0) socket.unshift(head);
  const lines = [
    "HTTP/1.1 101 Switching Protocols",
    "Connection: Upgrade",
    `Upgrade: ${PTTH_UPGRADE_TOKEN}`,
    `ALPN: ${PTTH_ALPN}`,
    `${HEADER.version}: ${VERSION}`,
  ];
  // Not before the write has ended: on TLS a session on top of a pending write aborts the process; on TCP the preface overtakes
  // the 101.
  socket.write(`${lines.join("\r\n")}\r\n\r\n`, (error) => {
    if (error === null || error === undefined) onSent();
    else socket.destroy();
  });
}
