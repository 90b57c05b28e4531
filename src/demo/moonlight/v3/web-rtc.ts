/**
 * v3's signalling over HTTP: the page posts its offer and gets the answer with a `Location`, at which it may add candidates (PATCH)
 * and end the stream (DELETE). The stream is its owner's, and an administrator's.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { randomInt } from "node:crypto";
import { MAX_ENTRIES } from "../limits.ts";
import type { OpenPeer, Peer } from "../peer.ts";
import { empty, readBody, text } from "../responses.ts";
import type { User } from "../v2/identity.ts";

export const WEB_RTC_PATH = "/api/host/stream/webrtc";

interface Stream {
  readonly owner: User;
  readonly peer: Peer;
}

export class WebRtcStreams {
  readonly #openPeer: OpenPeer;
  readonly #streams = new Map<string, Stream>();

  constructor(openPeer: OpenPeer) {
    this.#openPeer = openPeer;
  }

  /** Ids of the streams that run. */
  get ids(): readonly string[] {
    return [...this.#streams.keys()];
  }

  /** @param id of a stream; empty for the collection. @throws BadRequest */
  async serve(request: IncomingMessage, response: ServerResponse, id: string, user: User): Promise<void> {
    const { method } = request;
    if (id === "") {
      if (method === "OPTIONS") return options(response);
      if (method !== "POST") return empty(response, 405);
      return isOfType(request, "application/sdp")
        ? this.#post(request, response, user)
        : empty(response, 415);
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) return text(response, 404, "no such stream");
    if (stream.owner !== user && user.role !== "Admin") return text(response, 403, "forbidden");
    if (method === "DELETE") {
      this.#streams.delete(id);
      stream.peer.close();
      empty(response, 200);
    } else if (method !== "PATCH") empty(response, 405);
    else if (request.headers["if-match"] === "*") empty(response, 422);
    else if (!isOfType(request, "application/trickle-ice-sdpfrag")) empty(response, 415);
    else await patch(request, response, stream);
  }

  async #post(request: IncomingMessage, response: ServerResponse, owner: User): Promise<void> {
    const sdp = await readBody(request);
    if (this.#streams.size >= MAX_ENTRIES) return empty(response, 500);
    const id = String(randomInt(2 ** 32));
    const answered = Promise.withResolvers<string>();
    const peer = this.#openPeer(`${owner.name}-${id}`, {
      send: (signal) => {
        const { Description: description } = signal as { Description?: { sdp: string } };
        if (description !== undefined) answered.resolve(description.sdp);
      },
      connected: () => {},
      lost: () => this.#streams.delete(id),
    });
    this.#streams.set(id, { owner, peer });
    peer.receive({ Description: { ty: "offer", sdp } });
    const body = await answered.promise;
    response
      .writeHead(201, { "content-type": "application/sdp", location: `${WEB_RTC_PATH}/${id}` })
      .end(body);
  }
}

function options(response: ServerResponse): void {
  const link = '<stun:stun.invalid:3478>; rel="ice-server"';
  response.writeHead(200, { link, "accept-post": "application/sdp", "content-length": 0 }).end();
}

async function patch(request: IncomingMessage, response: ServerResponse, { peer }: Stream): Promise<void> {
  for (const [, candidate] of (await readBody(request)).matchAll(/^a=(candidate:.*)$/gm)) {
    peer.receive({ AddIceCandidate: { candidate, sdp_mid: "0", sdp_mline_index: 0 } });
  }
  response.writeHead(204).end();
}

function isOfType({ headers }: IncomingMessage, type: string): boolean {
  return headers["content-type"]?.split(";")[0]?.trim() === type;
}
