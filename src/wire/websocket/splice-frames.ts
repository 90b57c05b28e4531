/** Joins the two ends of an open WebSocket. Towards the client bytes pass as they are, towards the server as {@link ClientFrames}. */
import type { Duplex } from "node:stream";
import { abort, copy, spliceOneWay } from "../streams/splice.ts";
import type { Pump } from "../streams/splice.ts";
import type { ClientFrames } from "./client-frames.ts";

export interface FrameSpliceOptions {
  /** Called once, when both ends are closed. */
  onClose: () => void;
  /** Ends the client when the server is lost. Default {@link abort} */
  onServerLost?: (() => void) | undefined;
  /** Why the client is lost, for the server. Default: it has disconnected. */
  lossReason?: (() => string) | undefined;
  /** Copies the client's bytes. Default: unchanged. */
  fromClient?: Pump | undefined;
}

/** @param frames to the server */
export function spliceFrames(
  client: Duplex,
  server: Duplex,
  { onClose, onServerLost = () => abort(client), lossReason, fromClient = copy }: FrameSpliceOptions,
  frames: ClientFrames,
): void {
  let open = 2;
  const closed = (): void => {
    open -= 1;
    if (open === 0) onClose();
  };
  const onLoss = (end: Duplex): void => (end === client ? onServerLost() : frames.leave(lossReason?.()));
  const pump = (): void => {
    server.once("aborted", () => client.unpipe(frames));
    fromClient(client, frames);
  };
  spliceOneWay(client, server, closed, onLoss, pump, () => frames.finish());
  spliceOneWay(server, client, closed, onLoss);
}
