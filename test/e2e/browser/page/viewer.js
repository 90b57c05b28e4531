// A viewer as Helix's frontend has one: signalling through the control plane, media straight from Moonlight Web.
// The test drives it by `viewer.open(url, init)` and looks at its fields.

const video = document.querySelector("video");

globalThis.viewer = {
  /** Tags of the messages that came, in their order. */
  words: [],
  signallingBytes: 0,
  /** Undefined until the WebSocket has closed. */
  closed: undefined,
  peer: undefined,

  open(url, init) {
    const viewer = this;
    const socket = new WebSocket(url);
    const opened = Promise.withResolvers();
    const say = (message) => {
      const text = JSON.stringify(message);
      viewer.signallingBytes += text.length;
      socket.send(text);
    };
    socket.addEventListener("open", () => {
      say({ AuthenticateAndInit: init });
      opened.resolve("open");
    });
    socket.addEventListener("message", ({ data }) => {
      viewer.signallingBytes += data.length;
      const message = JSON.parse(data);
      const [tag] = typeof message === "string" ? [message] : Object.keys(message);
      viewer.words.push(tag);
      if (tag === "WebRtcConfig") {
        viewer.peer = connect(message.WebRtcConfig.ice_servers, say);
        void describe(viewer.peer, say);
      }
      if (tag === "Signaling") hear(viewer.peer, message.Signaling, say);
    });
    socket.addEventListener("close", ({ code, reason, wasClean }) => {
      viewer.closed = { code, reason, wasClean };
      opened.resolve("closed");
      viewer.peer?.close();
    });
    return opened.promise;
  },

  /** What the browser measured: the pair that carries the media, and the video. */
  async measure() {
    const report = [...(await this.peer.getStats()).values()];
    const byId = new Map(report.map((entry) => [entry.id, entry]));
    const transport = report.find(({ type }) => type === "transport");
    const pair = byId.get(transport?.selectedCandidatePairId);
    const inbound = report.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
    const codec = byId.get(inbound?.codecId);
    return {
      protocol: byId.get(pair?.remoteCandidateId)?.protocol,
      localType: byId.get(pair?.localCandidateId)?.candidateType,
      remote: addressOf(byId.get(pair?.remoteCandidateId)),
      codec: codec?.mimeType,
      bytesReceived: inbound?.bytesReceived ?? 0,
      framesDecoded: inbound?.framesDecoded ?? 0,
      currentTime: video.currentTime,
      width: video.videoWidth,
      height: video.videoHeight,
    };
  },

  /** The colour of the video at a place, given as shares of its width and height. */
  pixel(x, y) {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0);
    const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
    const [red, green, blue] = context.getImageData(...at, 1, 1).data;
    return { red, green, blue };
  },
};

function addressOf(candidate) {
  return candidate && { address: candidate.address, port: candidate.port };
}

function connect(iceServers, say) {
  const peer = new RTCPeerConnection({ iceServers });
  // The viewer offers its input; the media comes with an offer of the server's.
  peer.createDataChannel("input");
  peer.ontrack = ({ track }) => {
    video.srcObject = new MediaStream([track]);
    // The browser starts it by itself: it is muted.
  };
  peer.onicecandidate = ({ candidate }) => {
    if (candidate === null || candidate.candidate === "") return;
    const { candidate: text, sdpMid, sdpMLineIndex, usernameFragment } = candidate;
    say({
      Signaling: {
        AddIceCandidate: {
          candidate: text,
          sdp_mid: sdpMid,
          sdp_mline_index: sdpMLineIndex,
          username_fragment: usernameFragment,
        },
      },
    });
  };
  return peer;
}

/** An offer, or the answer to the server's. */
async function describe(peer, say) {
  await peer.setLocalDescription();
  const { type, sdp } = peer.localDescription;
  say({ Signaling: { Description: { ty: type, sdp } } });
}

/** Candidates may overtake the answer's work; the browser wants the answer first. */
let heard = Promise.resolve();
function hear(peer, { Description: description, AddIceCandidate: candidate }, say) {
  heard = heard.then(async () => {
    if (description) await peer.setRemoteDescription({ type: description.ty, sdp: description.sdp });
    if (description?.ty === "offer") await describe(peer, say);
    if (candidate) {
      const { candidate: text, sdp_mid: sdpMid, sdp_mline_index: sdpMLineIndex } = candidate;
      await peer.addIceCandidate({ candidate: text, sdpMid, sdpMLineIndex });
    }
  });
}
