/** The browser's peer: it offers its input channels, and answers the server's offer of media. */
export class StreamPeer extends EventTarget {
  #connection;
  #send;
  /** Signals are worked on one after the other: a candidate may come while an answer is being set. */
  #work = Promise.resolve();

  constructor(iceServers, send) {
    super();
    this.#send = send;
    this.#connection = new RTCPeerConnection({ iceServers });
    this.#connection.addEventListener("negotiationneeded", () => void this.#describe());
    this.#connection.addEventListener("icecandidate", ({ candidate }) => this.#offerCandidate(candidate));
    this.#connection.addEventListener("track", ({ track }) => this.#report("track", track));
    this.#connection.addEventListener("connectionstatechange", () =>
      this.#report("state", this.#connection.connectionState),
    );
    for (const name of ["mouse", "keyboard", "touch", "controllers"]) {
      this.#connection.createDataChannel(name);
    }
  }

  receive({ Description: description, AddIceCandidate: candidate }) {
    this.#work = this.#work.then(async () => {
      if (candidate !== undefined) {
        const { candidate: text, sdp_mid: sdpMid, sdp_mline_index: sdpMLineIndex } = candidate;
        await this.#connection.addIceCandidate({ candidate: text, sdpMid, sdpMLineIndex });
      }
      if (description === undefined) return;
      await this.#connection.setRemoteDescription({ type: description.ty, sdp: description.sdp });
      if (description.ty === "offer") await this.#describe();
    });
    this.#work = this.#work.catch((error) => this.#report("state", error.message));
  }

  /** An offer, or the answer to the server's. */
  async #describe() {
    await this.#connection.setLocalDescription();
    const { type, sdp } = this.#connection.localDescription;
    this.#send({ Description: { ty: type, sdp } });
  }

  #offerCandidate(candidate) {
    if (candidate === null || candidate.candidate === "") return;
    const { candidate: text, sdpMid, sdpMLineIndex, usernameFragment } = candidate;
    this.#send({
      AddIceCandidate: {
        candidate: text,
        sdp_mid: sdpMid,
        sdp_mline_index: sdpMLineIndex,
        username_fragment: usernameFragment,
      },
    });
  }

  #report(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
