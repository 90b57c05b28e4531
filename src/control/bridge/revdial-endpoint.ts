/**
 * RevDial at the agent endpoint: a WebSocket without a sub-protocol that names a runner is the control connection of a client,
 * one that names a dial is a pick-up.
 */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_WEBSOCKET_CHUNKS, MAX_WEBSOCKET_FRAGMENTS } from "../../wire/limits.ts";
import { AGENT_ENDPOINT_PATH, PICKUP_PARAMETER, SHORT_ENDPOINT_PATH } from "../../wire/protocol.ts";
import type { AgentEndpoint, AgentEndpointContext } from "../admission/agent-endpoint.ts";
import { runnersNamed } from "../admission/endpoint-path.ts";
import { MAX_MESSAGE_BYTES } from "../revdial/limits.ts";
import { Pickups } from "../revdial/pickups.ts";
import { respondToPings } from "../revdial/pongs.ts";
import { admitClient } from "./revdial-admission.ts";
import type { TargetOfRunner } from "./revdial-admission.ts";

export interface RevDialEndpointContext extends AgentEndpointContext {
  agentEndpoint: AgentEndpoint;
  /** Path before all of ours, without a trailing slash; usually empty. */
  basePath: string;
  targetOf: TargetOfRunner;
}

export class RevDialEndpoint {
  readonly #context: RevDialEndpointContext;
  readonly #pickups = new Pickups();
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: MAX_MESSAGE_BYTES,
    maxBufferedChunks: MAX_WEBSOCKET_CHUNKS,
    maxFragments: MAX_WEBSOCKET_FRAGMENTS,
  });

  constructor(context: RevDialEndpointContext) {
    this.#context = context;
  }

  /** Agents of ours name a sub-protocol. */
  isFor({ headers }: IncomingMessage): boolean {
    const isWebSocket = headers.upgrade?.trim().toLowerCase() === "websocket";
    return isWebSocket && headers["sec-websocket-protocol"] === undefined;
  }

  /** Takes over the socket. A refusal is an HTTP response other than 101. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { agentEndpoint } = this.#context;
    try {
      const [, query = ""] = (request.url ?? "").split("?", 2);
      const [id, ...others] = new URLSearchParams(query).getAll(PICKUP_PARAMETER);
      if (others.length > 0) throw new TurnaboutError("bad_request", "pick-up: more than one dial");
      if (id === undefined) this.#acceptClient(request, socket, head);
      else this.#acceptPickup(id, request, socket, head);
    } catch (error) {
      // A pick-up whose caller has left meanwhile.
      const isLate = error instanceof TurnaboutError && error.code === "not_found";
      agentEndpoint.refuse(request, socket, error, isLate);
    }
  }

  #acceptClient(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { agentBudgets, agentEndpoint, basePath, registry, trustedProxies } = this.#context;
    const identity = agentEndpoint.authenticate(request.headers);
    const [runner = "", ...others] = runnersNamed(request.url ?? "");
    if (others.length > 0) {
      throw new TurnaboutError("bad_request", "agent endpoint: a RevDial client serves one runner");
    }
    registry.checkMayRegister([runner], identity, undefined, false);
    const budget = agentBudgets.of(identity.id);
    budget.checkConnect(runner);
    const { address: remoteAddress } = trustedProxies.client(request);
    this.#upgrade(request, socket, head, (webSocket) => {
      const pickups = this.#pickups;
      const client = { webSocket, socket, remoteAddress, identity, runner, pickups };
      // Clients put `/api/v1` in front, or dial it as it is: the endpoint has both.
      admitClient({ ...client, pickupPath: `${basePath}${SHORT_ENDPOINT_PATH}` }, this.#context);
    });
  }

  #acceptPickup(id: string, request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { agentEndpoint } = this.#context;
    const identity = agentEndpoint.authenticate(request.headers);
    const pickup = this.#pickups.take(id, identity.id);
    // The program that dials the path as it is: `data-messages.ts`.
    const [path = ""] = (request.url ?? "").split("?", 1);
    const readsInPieces = !path.endsWith(AGENT_ENDPOINT_PATH);
    this.#upgrade(request, socket, head, (webSocket) => pickup.deliver({ webSocket, socket, readsInPieces }));
  }

  #upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    accept: (webSocket: WebSocket) => void,
  ): void {
    this.#context.inFlight.release(socket);
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on("error", () => {}); // permanent
      respondToPings(webSocket);
      try {
        accept(webSocket);
      } catch {
        webSocket.terminate();
      }
    });
  }
}
