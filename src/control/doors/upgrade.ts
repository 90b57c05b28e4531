/** The agent door on HTTP/1.1: `Upgrade: ptth` and `Upgrade: websocket` at the same path, with a bearer token. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { Carrier } from "../../wire/carrier.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_RUNNERS_PER_CONNECTION, MAX_WEBSOCKET_MESSAGE_BYTES } from "../../wire/limits.ts";
import { isRunnerId } from "../../wire/names.ts";
import {
  DOOR_RUNNER_PARAMETER,
  HEADER,
  PTTH_ALPN,
  PTTH_UPGRADE_TOKEN,
  WEBSOCKET_SUBPROTOCOL,
} from "../../wire/protocol.ts";
import { VERSION } from "../../wire/version.ts";
import { webSocketStream } from "../../wire/websocket-stream.ts";
import { authenticateBearer } from "../auth/authenticate.ts";
import type { Identity } from "../auth/identity.ts";
import type { Fronts } from "../front/fronts.ts";
import { rawErrorAnswer } from "../http-errors.ts";
import type { Refuser } from "../http-errors.ts";
import { REFUSAL_LINGER_MS } from "../limits.ts";
import { admit } from "./admission.ts";
import type { AdmissionContext } from "./admission.ts";

export interface UpgradeDoorContext extends AdmissionContext {
  draining: () => boolean;
  fronts: Fronts;
}

export class UpgradeDoor {
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

  /** Takes over the socket. Every refusal is an HTTP answer before the upgrade. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { address: remoteAddress } = this.#context.fronts.client(request);
    try {
      const { identity, standby } = this.#check(request);
      const isPtth = request.headers.upgrade?.trim().toLowerCase() === PTTH_UPGRADE_TOKEN;
      const go = (carrier: Carrier) => void admit(carrier, { identity, standby }, this.#context);
      if (isPtth) acceptPtth(socket, head, () => go({ kind: "ptth", stream: socket, remoteAddress }));
      else {
        this.#websockets.handleUpgrade(request, socket, head, (websocket) => {
          const stream = webSocketStream(websocket, socket);
          stream.on("error", () => {}); // for ever
          go({ kind: "websocket", stream, remoteAddress });
        });
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#context.refusals.warn({ peer: remoteAddress, reason }, "agent door: refused");
      refuseRaw(socket, error);
    }
  }

  #check(request: IncomingMessage): { identity: Identity; standby: boolean } {
    const { registry, tokens, draining } = this.#context;
    if (draining()) throw new TurnaboutError("control_plane_draining", "agent door: shutting down");
    const identity = authenticateBearer(request.headers, tokens);
    const upgrade = request.headers.upgrade?.trim().toLowerCase();
    const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((item) => item.trim());
    if (upgrade === "websocket" && !offered.includes(WEBSOCKET_SUBPROTOCOL)) {
      throw new TurnaboutError(
        "upgrade_required",
        `agent door: no sub-protocol ${WEBSOCKET_SUBPROTOCOL} offered`,
      );
    }
    if (upgrade === PTTH_UPGRADE_TOKEN && !(request.headers["alpn"] ?? PTTH_ALPN).includes(PTTH_ALPN)) {
      throw new TurnaboutError("upgrade_required", "agent door: ptth without h2 in its ALPN header");
    }
    const runners = new URL(request.url ?? "/", "http://door").searchParams.getAll(DOOR_RUNNER_PARAMETER);
    if (runners.length === 0 || runners.length > MAX_RUNNERS_PER_CONNECTION || !runners.every(isRunnerId)) {
      throw new TurnaboutError("bad_request", `agent door: ${DOOR_RUNNER_PARAMETER} is missing or not valid`);
    }
    const standby = request.headers[HEADER.standby] === "1";
    const instance = request.headers[HEADER.instance];
    registry.check(runners, identity, typeof instance === "string" ? instance : undefined, standby);
    return { identity, standby };
  }
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
