/** Many agents in one process: `agents.child.ts SERVER FIRST COUNT`. One JSON line for each event. */
import { createAgent } from "../../src/agent/agent.ts";

const [server = "", first = "0", count = "1"] = process.argv.slice(2);
const agents = Array.from({ length: Number(count) }, (_, i) => {
  const id = `crowd-${Number(first) + i}`;
  return createAgent({
    server,
    token: { value: process.env["TURNABOUT_TOKEN"] ?? "" },
    runners: { [id]: { echo: "127.0.0.1:1" } },
    connections: 1,
    drainMs: 500,
    onEvent: (event) => {
      const retryInMs = "retryInMs" in event ? event.retryInMs : undefined;
      process.stdout.write(`${JSON.stringify({ id, type: event.type, retryInMs })}\n`);
    },
  });
});
process.once("SIGTERM", () => {
  void Promise.all(agents.map((agent) => agent.close())).then(() => process.exit(0));
});
