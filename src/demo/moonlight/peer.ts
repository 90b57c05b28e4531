/**
 * The streamer's side of WebRTC. The default peer has no media: it swaps the offer's roles and echoes candidates, enough
 * to check that signalling arrives complete. A test may supply a peer that sends video.
 */

/** Responds to a viewer's `Signaling` messages. */
export interface Peer {
  /** @param signal the value of a `Signaling` message: `{"Description":…}` or `{"AddIceCandidate":…}` */
  receive(signal: Readonly<Record<string, unknown>>): void;
  /** The viewer has disconnected. */
  close(): void;
}

/**
 * @param session the id that the viewer has chosen
 * @param send sends a `Signaling` message with this value to the viewer
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

/** The offer with swapped roles: enough for a test to recognize the answer to its own offer. */
function answerTo(offer: string): string {
  return offer.replaceAll("a=setup:actpass", "a=setup:active").replaceAll("a=sendrecv", "a=sendonly");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
