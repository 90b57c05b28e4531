/** How an agent serves CONNECT, on both ends of a tunnel connection, without a control plane. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { createAgentMetrics } from "../../src/agent/metrics.ts";
import { TargetTable } from "../../src/agent/targets/target-table.ts";
import { serveConnect } from "../../src/agent/streams/connect.ts";
import { parseTargetAddress } from "../../src/agent/targets/targets.ts";

/** An `onStream` for `openSessionPair()` that relays every CONNECT to one address. */
export function relayTo(address: string): (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void {
  const targets = new TargetTable(createAgentMetrics(), () => {});
  targets.add({
    id: "runner",
    targets: [{ name: "echo", address: parseTargetAddress(address), http: "auto" }],
  });
  return (stream) => {
    const open = targets.open({ runner: "runner", target: "echo" });
    if (typeof open === "string") stream.destroy(new Error(open));
    else serveConnect(stream, open);
  };
}
