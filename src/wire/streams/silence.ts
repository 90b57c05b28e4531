/** Notices a target that was reached and sends nothing: one that its caller has given up, and one that closes without a byte. */
import type { Duplex } from "node:stream";

export interface SilenceListener {
  /** The caller's end has ended or was reset, with nothing from the target for `waitedMs` since its last byte. */
  silent?(this: void, waitedMs: number): void;
  /** The target has closed `waitedMs` after the caller's last byte, and the caller still waits. */
  closed?(this: void, waitedMs: number, error: Error | null): void;
}

/**
 * Looks at both ends until the target's first byte, and reports at most once. Call it in the turn in which they are joined:
 * it makes the caller's end flow.
 *
 * @param minMs a caller that leaves sooner has not waited
 */
export function watchSilence(
  caller: Duplex,
  target: Duplex,
  { minMs, silent, closed }: SilenceListener & { minMs: number },
): void {
  let lastAt = performance.now();
  let hasSent = false;
  let isOver = false;
  const onSent = (): void => {
    lastAt = performance.now();
    hasSent = true;
  };
  const stop = (): void => {
    isOver = true;
    caller.off("data", onSent);
  };
  const onCallerEnd = (): void => {
    const waitedMs = Math.round(performance.now() - lastAt);
    if (isOver || waitedMs < minMs) return;
    stop();
    silent?.(waitedMs);
  };
  const onTargetEnd = (): void => {
    // What only takes bytes closes behind the last one, and a client may open a connection before it needs it.
    const isFailure = !isOver && hasSent && !caller.readableEnded && !caller.destroyed;
    stop();
    if (isFailure) closed?.(Math.round(performance.now() - lastAt), target.errored);
  };
  caller.on("data", onSent);
  caller.once("end", onCallerEnd);
  caller.once("close", () => {
    onCallerEnd();
    stop();
  });
  target.once("data", stop);
  target.once("end", onTargetEnd);
  target.once("close", onTargetEnd);
}
