/** Reports a target that was reached and has sent nothing on a stream: the control plane does not see that of every stream. */
import type { ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { errorCodeOf } from "../../wire/errors.ts";
import { hasEnded } from "../../wire/streams/end-stream.ts";
import { watchSilence } from "../../wire/streams/silence.ts";
import { SILENT_TARGET_MS } from "../limits.ts";
import type { OpenTarget } from "../targets/target-table.ts";

/** Call it in the turn in which the two are joined. */
export function reportSilence(stream: ServerHttp2Stream, socket: Socket, open: OpenTarget): void {
  const { session: http2Session } = stream; // a closed stream has none
  const isLost = (): boolean => http2Session === undefined || hasEnded(http2Session);
  watchSilence(stream, socket, {
    minMs: SILENT_TARGET_MS,
    silent(waitedMs) {
      // With the connection all its streams end: their callers have not given them up.
      if (!isLost()) open.failed({ code: "response_timeout", phase: "response", waitedMs });
    },
    closed(waitedMs, error) {
      const errno = errorCodeOf(error);
      if (!isLost()) open.failed({ code: "target_closed", phase: "response", errno, waitedMs });
    },
  });
}
