/**
 * One stream: its signalling by WebSocket, and the peer that it sets up. Its events are `stage`, `failure` and `track`. The
 * peer stays when the WebSocket has closed.
 */
import { buildUrl } from "../config_.js";
import { StreamPeer } from "./peer.js";

export class Stream extends EventTarget {
  #socket;
  #peer;

  constructor({ credentials }, { hostId, appId, settings }) {
    super();
    // An address with http: Chromium and others read it as ws:.
    this.#socket = new WebSocket(buildUrl("/api/host/stream"));
    this.#socket.addEventListener("open", () => {
      const { bitrate, packetSize, fps, width, height } = settings;
      this.#send({
        AuthenticateAndInit: {
          credentials,
          session_id: `browser-${Date.now()}-${Math.random().toString(36).slice(2)}`,
          mode: "create",
          client_unique_id: null,
          host_id: hostId,
          app_id: appId,
          bitrate,
          packet_size: packetSize,
          fps,
          width,
          height,
          video_sample_queue_size: 20,
          play_audio_local: false,
          audio_sample_queue_size: 20,
          video_supported_formats: 1,
          video_colorspace: "Rec709",
          video_color_range_full: false,
        },
      });
    });
    this.#socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)));
    for (const event of ["error", "close"]) {
      this.#socket.addEventListener(event, () => this.#report("stage", `WebSocket: ${event}`));
    }
  }

  #receive(message) {
    if (typeof message === "string") return this.#report("failure", message);
    const [[tag, value]] = Object.entries(message);
    if (tag === "WebRtcConfig") this.#connect(value.ice_servers);
    if (tag === "Signaling") this.#peer?.receive(value);
    if (tag === "StageFailed") this.#report("failure", `${value.stage}: ${value.error_code}`);
    else this.#report("stage", value.stage === undefined ? tag : `${tag}: ${value.stage}`);
  }

  #connect(iceServers) {
    this.#peer = new StreamPeer(iceServers, (signal) => this.#send({ Signaling: signal }));
    this.#peer.addEventListener("track", ({ detail }) => this.#report("track", detail));
    this.#peer.addEventListener("state", ({ detail }) => this.#report("stage", `peer: ${detail}`));
  }

  #send(message) {
    this.#socket.send(JSON.stringify(message));
  }

  #report(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
