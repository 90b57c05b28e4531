/**
 * The streamer's side of WebRTC. The double's own has no media: it turns the offer's roles round and echoes
 * candidates, which is enough to see that signalling arrives whole. A test may bring one that sends video.
 */

/** What answers a viewer's `Signaling` messages. */
export interface Peer {
  /** @param signal the inside of one: `{"Description":…}` or `{"AddIceCandidate":…}` */
  receive(signal: Readonly<Record<string, unknown>>): void;
  /** The viewer has gone. */
  close(): void;
}

/**
 * @param session as the viewer has named it
 * @param send says something to the viewer: the inside of a `Signaling` message
 */
export type OpenPeer = (session: string, send: (signal: object) => void) => Peer;

export const openEchoPeer: OpenPeer = (_session, send) => ({
  receive: ({ Description: description, AddIceCandidate: candidate }) => {
    if (isObject(description) && description["ty"] === "offer") {
      send({ Description: { ty: "answer", sdp: answerTo(String(description["sdp"])) } });
      send({ AddIceCandidate: HOST_CANDIDATE });
    }
    if (isObject(candidate)) send({ AddIceCandidate: candidate });
  },
  close: () => {},
});

const HOST_CANDIDATE: object = {
  candidate: "candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host",
  sdp_mid: "0",
  sdp_mline_index: 0,
  username_fragment: null,
};

/** The offer with the roles turned: enough for a test to see that its own offer was answered. */
function answerTo(offer: string): string {
  return offer.replaceAll("a=setup:actpass", "a=setup:active").replaceAll("a=sendrecv", "a=sendonly");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
