/** `turnabout forward`: local ports and Unix sockets for targets. */
import { RemoteConnection } from "../../clients/dial/remote-connection.ts";
import type { Command } from "../command.ts";
import { checkTarget } from "../forward/check-target.ts";
import { startForwarder } from "../forward/forwarder.ts";
import type { Passed } from "../forward/forwarder.ts";
import { keepWarm } from "../forward/keep-warm.ts";
import { FORWARD_WAIT_MS } from "../forward/limits.ts";
import { describeListen, parseMapping } from "../forward/mapping.ts";
import type { Mapping } from "../forward/mapping.ts";
import { WaitNotices } from "../forward/wait-notices.ts";
import { formatBytes, formatDuration } from "../output/table.ts";
import { programCommand } from "../program.ts";
import { resolveAccess, withAccessOptions } from "../remote/access.ts";
import type { AccessOptions, RemoteAccess } from "../remote/access.ts";
import { openClient } from "./with-client.ts";

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
        const access = resolveAccess(options);
        const remote = new RemoteConnection(access);
        await using started = new AsyncDisposableStack();
        started.defer(() => remote.close());
        // What is wrong is known at once, and not by the first client that fails.
        await checkTargets(access, mappings);
        await remote.warm();
        const notices = new WaitNotices(access);
        for (const mapping of mappings) {
          const name = `${mapping.destination.runner}/${mapping.destination.target}`;
          const report = (passed: Passed): void => {
            if (options.quiet !== true) process.stdout.write(`${name} ${describe(passed)}\n`);
          };
          const forwarder = started.use(await startForwarder(mapping, { remote, notices, onPassed: report }));
          process.stdout.write(`${describeListen(forwarder.listen)} -> ${name}\n`);
        }
        await keepWarm(remote);
      });
  },
);

async function checkTargets(access: RemoteAccess, mappings: readonly Mapping[]): Promise<void> {
  await using client = openClient(access);
  const destinations = new Map(mappings.map(({ destination: at }) => [`${at.runner}/${at.target}`, at]));
  for (const destination of destinations.values()) {
    const { absence } = await checkTarget(client, destination);
    if (absence !== undefined)
      process.stderr.write(
        `warning: ${absence}; connections wait up to ${FORWARD_WAIT_MS / 1_000} s for it\n`,
      );
  }
}

function describe({ peer, sentBytes, receivedBytes, durationMs, error }: Passed): string {
  const passed = `${peer}: ${formatBytes(sentBytes)} sent, ${formatBytes(receivedBytes)} received, ${formatDuration(durationMs)}`;
  return error === undefined ? passed : `${passed}, ${error}`;
}
