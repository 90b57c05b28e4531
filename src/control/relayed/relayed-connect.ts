/** `CONNECT` of another node: a stream of bytes to a target of an agent here. */
import { TurnaboutError } from "../../wire/errors.ts";
import { abort, splice } from "../../wire/streams/splice.ts";
import { EarlyData } from "../tunnels/early-data.ts";
import type { TargetStream } from "../tunnels/tunnel.ts";
import { refuseRelayed, startRelayed } from "./relayed-stream.ts";
import type { RelayContext, RelayedCaller, RelayedStream } from "./relayed-stream.ts";

/** Never rejects: a failure is the stream's refusal. */
export async function relayConnect(relayed: RelayedStream, context: RelayContext): Promise<void> {
  const { stream } = relayed;
  let started: RelayedCaller | undefined;
  try {
    started = startRelayed(relayed, context);
    const { caller } = started;
    const tunnel = await open(relayed, started, context);
    if (caller.closed !== undefined || stream.destroyed) return abort(tunnel);
    caller.onClose(() => {
      abort(stream);
      abort(tunnel);
    });
    stream.respond({ ":status": 200 });
    caller.complete();
    splice(stream, tunnel, () => caller.release());
  } catch (error) {
    started?.caller.release();
    refuseRelayed(stream, started?.caller.reasonFor(error) ?? error);
  }
}

async function open(
  { stream, destination }: RelayedStream,
  { caller, record, holder }: RelayedCaller,
  { dialer }: RelayContext,
): Promise<TargetStream> {
  const early = new EarlyData(stream);
  const pull = (): void => early.pull();
  stream.on("readable", pull);
  try {
    const options = { signal: caller.signal, caller: holder, early, localOnly: true, record };
    const tunnel = await dialer.openStream(destination, options);
    if (caller.closed === undefined) return tunnel;
    abort(tunnel);
    throw new TurnaboutError("aborted", "closed while it was being opened");
  } finally {
    stream.off("readable", pull);
    early.stop();
  }
}
