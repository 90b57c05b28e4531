/**
 * The streamer's side of WebRTC. The default peer has no media: it swaps the offer's roles and echoes candidates, enough
 * to check that signalling arrives complete. A test may supply a peer that sends video.
 */

/** Responds to a viewer's signals: `{"Description":…}` or `{"AddIceCandidate":…}`. */
export interface Peer {
  receive(signal: Readonly<Record<string, unknown>>): void;
  /** The stream is complete: the peer offers its media to the viewer. */
  addMedia(): void;
  close(): void;
}

export interface PeerEvents {
  /** Sends a signal to the viewer. */
  send(signal: object): void;
  /** The viewer is connected. Further calls have no effect. */
  connected(): void;
  /** The viewer was connected and is lost. */
  lost(): void;
}

/** @param session the id that the viewer has chosen */
export type OpenPeer = (session: string, events: PeerEvents) => Peer;

export const openEchoPeer: OpenPeer = (_session, events) => ({
  receive: ({ Description: description, AddIceCandidate: candidate }) => {
    if (isObject(description) && description["ty"] === "offer") {
      events.send({ Description: { ty: "answer", sdp: answerTo(String(description["sdp"])) } });
      events.send({ AddIceCandidate: HOST_CANDIDATE });
      events.connected();
    }
    if (isObject(candidate)) events.send({ AddIceCandidate: candidate });
  },
  addMedia: () => events.send({ Description: { ty: "offer", sdp: MEDIA_OFFER } }),
  close: () => {},
});

const HOST_CANDIDATE: object = {
  candidate: "candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host",
  sdp_mid: "0",
  sdp_mline_index: 0,
  username_fragment: null,
};

const MEDIA_OFFER = "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=setup:actpass\r\na=sendonly\r\n";

/** The offer with swapped roles: enough for a test to recognize the answer to its own offer. */
function answerTo(offer: string): string {
  return offer.replaceAll("a=setup:actpass", "a=setup:active").replaceAll("a=sendrecv", "a=sendonly");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
