/** Stages of a stream. Moonlight's own come from a task each, so one may be complete before it is reported as starting. */

/** The fork's own, before a viewer is connected. */
export const LAUNCH = "Launch Streamer";
export const SET_UP_PEER = "Setup WebRTC Peer";
export const NEGOTIATE = "WebRTC Peer Negotiation";

const AFTER_CONNECTING: readonly string[] = [
  "Moonlight Stream",
  "platform initialization",
  "name resolution",
  "audio stream initialization",
  "RTSP handshake",
  "control stream initialization",
  "video stream initialization",
  "input stream initialization",
  "control stream establishment",
  "video stream establishment",
  "audio stream establishment",
  "input stream establishment",
];

/** Those whose two messages change places here: always the same ones, so that tests are repeatable. */
const OVERTAKEN: ReadonlySet<string> = new Set(["name resolution", "video stream establishment"]);

export function starting(stage: string): object {
  return { StageStarting: { stage } };
}

export function complete(stage: string): object {
  return { StageComplete: { stage } };
}

/** Moonlight's own, which follow when the viewer is connected. */
export function connectionStages(): object[] {
  return AFTER_CONNECTING.flatMap((stage) =>
    OVERTAKEN.has(stage) ? [complete(stage), starting(stage)] : [starting(stage), complete(stage)],
  );
}
