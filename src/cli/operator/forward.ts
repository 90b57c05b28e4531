/** `turnabout forward`: local ports and Unix sockets for targets. */
import { setInterval as every } from "node:timers/promises";
import { RemoteConnection } from "../../clients/dial/remote-connection.ts";
import { toError } from "../../wire/errors.ts";
import type { Command } from "../command.ts";
import { startForwarder } from "../forward/forwarder.ts";
import type { Passed } from "../forward/forwarder.ts";
import { WARM_INTERVAL_MS } from "../forward/limits.ts";
import { describeListen, parseMapping } from "../forward/mapping.ts";
import { formatBytes, formatDuration } from "../output/table.ts";
import { programCommand } from "../program.ts";
import { resolveAccess, withAccessOptions } from "../remote/access.ts";
import type { AccessOptions } from "../remote/access.ts";

interface ForwardOptions extends AccessOptions {
  quiet?: boolean;
}

export const forward: Command = programCommand(
  "forward",
  "local ports for targets behind the tunnel",
  (program) => {
    withAccessOptions(program)
      .argument(
        "<mapping...>",
        "[BIND:]PORT=RUNNER/TARGET or unix:/PATH=RUNNER/TARGET; BIND is 127.0.0.1 by default",
      )
      .option("--quiet", "print no line for each connection")
      .addHelpText(
        "after",
        `
Runs until Ctrl-C. Connections that are open while the agent or the control plane restarts are reset; new ones wait up to
30 seconds for the runner. All go over one HTTP/2 connection, and a client's first bytes leave without waiting.

  turnabout forward 5432=db-1/postgres 8081=host-1/web`,
      )
      .action(async (texts: string[], options: ForwardOptions) => {
        const mappings = texts.map(parseMapping);
        const remote = new RemoteConnection(resolveAccess(options));
        await remote.warm(); // a wrong server or certificate is known at once
        await using started = new AsyncDisposableStack();
        started.defer(() => remote.close());
        for (const mapping of mappings) {
          const name = `${mapping.destination.runner}/${mapping.destination.target}`;
          const report = (passed: Passed): void => {
            if (options.quiet !== true) process.stdout.write(`${name} ${describe(passed)}\n`);
          };
          const forwarder = started.use(await startForwarder(mapping, remote, report));
          process.stdout.write(`${describeListen(forwarder.listen)} -> ${name}\n`);
        }
        await keepWarm(remote);
      });
  },
);

function describe({ peer, sentBytes, receivedBytes, durationMs, error }: Passed): string {
  const passed = `${peer}: ${formatBytes(sentBytes)} sent, ${formatBytes(receivedBytes)} received, ${formatDuration(durationMs)}`;
  return error === undefined ? passed : `${passed}, ${error}`;
}

/** Until SIGINT or SIGTERM. A lost connection to the control plane is replaced before the next client needs it. */
async function keepWarm(remote: RemoteConnection): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  let isReachable = true;
  try {
    for await (const _ of every(WARM_INTERVAL_MS, undefined, { signal: stop.signal })) {
      try {
        await remote.warm();
        if (!isReachable) process.stderr.write("the control plane is reachable again\n");
        isReachable = true;
      } catch (error) {
        if (isReachable) process.stderr.write(`warning: ${toError(error).message}; trying again\n`);
        isReachable = false;
      }
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
}
