/** One stream: its signalling by WebSocket, its peer, and the worker with the decoders. */
import { buildUrl } from "../config_.js";
import { StreamPeer } from "./peer.js";

const SETTINGS = {
  bitrate_kbps: 10_000,
  width: 1_280,
  height: 720,
  fps: 60,
  play_audio_local: false,
  supported_codecs: 1,
  hdr: false,
};

export class Stream extends EventTarget {
  #socket;
  #peer;
  #worker = new Worker(new URL("pipeline/worker.js", import.meta.url), { type: "module" });

  constructor({ hostId, appId }) {
    super();
    this.#worker.addEventListener("message", ({ data }) => this.#report("stage", `worker: ${data}`));
    this.#worker.addEventListener("error", () => this.#report("stage", "worker: failed"));
    this.#socket = new WebSocket(buildUrl("/api/host/stream").replace(/^http/, "ws"));
    this.#socket.addEventListener("open", () => {
      this.#send({
        Init: {
          host_id: hostId,
          app_id: appId,
          video_frame_queue_size: 20,
          audio_sample_queue_size: 20,
        },
      });
    });
    this.#socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)));
    this.#socket.addEventListener("close", () => this.#report("stage", "WebSocket: close"));
  }

  #receive(message) {
    const [[tag, value]] = Object.entries(message);
    if (tag === "Setup") this.#connect(value.ice_servers);
    if (tag === "WebRtc") this.#peer?.receive(value);
    this.#report("stage", tag === "DebugLog" ? value.message : tag);
  }

  #connect(iceServers) {
    this.#send({ SetTransport: "WebRTC" });
    this.#send({ StartStream: { settings: SETTINGS } });
    this.#peer = new StreamPeer(iceServers, (signal) => this.#send({ WebRtc: signal }));
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
