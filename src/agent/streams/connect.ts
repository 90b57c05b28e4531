/** `CONNECT <target>.<runner>`: connects, responds 200, then copies bytes both ways. */
import type { ServerHttp2Stream } from "node:http2";
import { splice } from "../../wire/streams/splice.ts";
import type { OpenTarget } from "../targets/target-table.ts";
import { reachTarget } from "./reach-target.ts";
import { reportSilence } from "./target-silence.ts";

export function serveConnect(stream: ServerHttp2Stream, open: OpenTarget): void {
  reachTarget(stream, open, (socket) => {
    stream.respond({ ":status": 200 });
    reportSilence(stream, socket, open);
    splice(stream, socket, () => open.close());
  });
}
