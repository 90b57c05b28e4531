/** `turnabout forward`: local ports and Unix sockets for targets. */
import { RemoteConnection } from "../../clients/dial/remote-connection.ts";
import type { Command } from "../command.ts";
import { startForwarder } from "../forward/forwarder.ts";
import type { Passed } from "../forward/forwarder.ts";
import { keepWarm } from "../forward/keep-warm.ts";
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
