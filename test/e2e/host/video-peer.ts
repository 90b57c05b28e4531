/**
 * The streamer of the Moonlight double with real media: a WebRTC peer that answers the viewer's offer of input channels, and
 * then offers a desktop as VP8. Media goes from here to the browser over UDP; only the signalling goes through the tunnel.
 */
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpHeader, RtpPacket } from "werift";
import type { OpenPeer, Peer, PeerEvents } from "../../../src/demo/moonlight/peer.ts";
import { encodeKeyFrame, fragmentsOf } from "./vp8.ts";
import type { Picture } from "./vp8.ts";

/** RFC 7741 §6.1. */
const VIDEO_CLOCK_HZ = 90_000;
/** Between two pictures: every frame is a key frame and a screenshot, and two cores do everything. */
const FRAME_MS = 150;

/** States of a connection that had been there. */
const LOST: ReadonlySet<string> = new Set(["disconnected", "failed", "closed"]);

export interface VideoPeers {
  readonly openPeer: OpenPeer;
  /** Peers that have not been closed. */
  readonly open: number;
  /** RTP payload that has been sent. */
  readonly sentBytes: number;
  close(): Promise<void>;
}

/** @param capture the desktop of a session, as its viewer names it */
export function createVideoPeers(capture: (session: string) => Promise<Picture>): VideoPeers {
  const peers = new Set<VideoPeer>();
  const closing = new Set<Promise<void>>();
  const counter = { bytes: 0 };
  return {
    openPeer: (session, events) => {
      const peer = new VideoPeer({ capture: () => capture(session), events, counter });
      peers.add(peer);
      return {
        receive: (signal) => peer.receive(signal),
        addMedia: () => peer.addMedia(),
        close: () => {
          const closed = peer.close().finally(() => {
            peers.delete(peer);
            closing.delete(closed);
          });
          closing.add(closed);
        },
      };
    },
    get open() {
      return peers.size;
    },
    get sentBytes() {
      return counter.bytes;
    },
    close: async () => {
      for (const peer of peers) void peer.close();
      await Promise.all(closing);
    },
  };
}

interface VideoPeerOptions {
  capture: () => Promise<Picture>;
  events: PeerEvents;
  counter: { bytes: number };
}

class VideoPeer implements Omit<Peer, "close"> {
  readonly #options: VideoPeerOptions;
  readonly #connection: RTCPeerConnection;
  readonly #track = new MediaStreamTrack({ kind: "video" });
  readonly #closed = new AbortController();
  #sequence = 0;
  #sending: Promise<void> | undefined;

  constructor(options: VideoPeerOptions) {
    this.#options = options;
    this.#connection = new RTCPeerConnection({
      iceServers: [],
      // Browsers on this machine reach it there; it finds other addresses itself.
      iceAdditionalHostAddresses: ["127.0.0.1"],
      codecs: {
        video: [
          new RTCRtpCodecParameters({
            mimeType: "video/VP8",
            clockRate: VIDEO_CLOCK_HZ,
            rtcpFeedback: [{ type: "nack" }, { type: "nack", parameter: "pli" }],
          }),
        ],
      },
    });
    // Its candidates need no messages of their own: werift gathers first, and they stand in the answer.
    this.#connection.connectionStateChange.subscribe((state) => {
      const { events } = this.#options;
      if (state === "connected") events.connected();
      else if (LOST.has(state) && !this.#closed.signal.aborted) events.lost();
    });
  }

  receive({ Description: description, AddIceCandidate: candidate }: Readonly<Record<string, unknown>>): void {
    if (isDescription(description)) this.#describe(description).catch(complain);
    if (isCandidate(candidate)) {
      const { candidate: text, sdp_mid: sdpMid, sdp_mline_index: sdpMLineIndex } = candidate;
      this.#connection.addIceCandidate({ candidate: text, sdpMid, sdpMLineIndex }).catch(complain);
    }
  }

  addMedia(): void {
    this.#connection.addTransceiver(this.#track, { direction: "sendonly" });
    this.#offer().catch(complain);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#sending;
    await this.#connection.close();
  }

  async #offer(): Promise<void> {
    await this.#connection.setLocalDescription(await this.#connection.createOffer());
    this.#sendDescription("offer");
  }

  /** The viewer's offer, or its answer to ours: then the media may go out. */
  async #describe({ ty: type, sdp }: Description): Promise<void> {
    await this.#connection.setRemoteDescription({ type, sdp });
    if (type === "answer") this.#sending ??= this.#send().catch(complain);
    if (type !== "offer") return;
    await this.#connection.setLocalDescription(await this.#connection.createAnswer());
    this.#sendDescription("answer");
  }

  #sendDescription(ty: Description["ty"]): void {
    const sdp = this.#connection.localDescription?.sdp;
    if (!this.#closed.signal.aborted) this.#options.events.send({ Description: { ty, sdp } });
  }

  async #send(): Promise<void> {
    const { signal } = this.#closed;
    while (!signal.aborted) {
      const pause = new Promise((resolve) => void setTimeout(resolve, FRAME_MS));
      const frame = await encodeKeyFrame(await this.#options.capture());
      this.#write(fragmentsOf(frame));
      await pause;
    }
  }

  #write(fragments: readonly Buffer[]): void {
    const timestamp = Math.round((performance.now() * VIDEO_CLOCK_HZ) / 1_000) % 2 ** 32;
    for (const [index, fragment] of fragments.entries()) {
      this.#sequence = (this.#sequence + 1) % 2 ** 16;
      const header = new RtpHeader({
        sequenceNumber: this.#sequence,
        timestamp,
        marker: index === fragments.length - 1,
        payloadType: 96,
      });
      this.#options.counter.bytes += fragment.length;
      this.#track.writeRtp(new RtpPacket(header, fragment));
    }
  }
}

interface Description {
  ty: "offer" | "answer";
  sdp: string;
}

function isDescription(value: unknown): value is Description {
  const { ty, sdp } = (value ?? {}) as { ty?: unknown; sdp?: unknown };
  return (ty === "offer" || ty === "answer") && typeof sdp === "string";
}

function isCandidate(
  value: unknown,
): value is { candidate: string; sdp_mid: string | null; sdp_mline_index: number | null } {
  return typeof (value as { candidate?: unknown } | null | undefined)?.candidate === "string";
}

function complain(error: unknown): void {
  console.error("video peer:", error);
}
