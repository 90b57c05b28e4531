/** `turnabout connect`: standard input and output as a connection to a target. */
import { RemoteConnection } from "../../clients/dial/remote-connection.ts";
import type { Command } from "../command.ts";
import { FORWARD_WAIT_MS } from "../forward/limits.ts";
import { parseDestination } from "../forward/mapping.ts";
import { WaitNotices } from "../forward/wait-notices.ts";
import { programCommand } from "../program.ts";
import { resolveAccess, withAccessOptions } from "../remote/access.ts";
import type { AccessOptions } from "../remote/access.ts";

export const connect: Command = programCommand(
  "connect",
  "standard input and output, connected to a target",
  (program) => {
    withAccessOptions(program)
      .argument("<target>", "RUNNER/TARGET")
      .addHelpText("after", "\n  ssh -o ProxyCommand='turnabout connect host-1/ssh' user@host-1")
      .action(async (name: string, options: AccessOptions) => {
        const { runner, target } = parseDestination(name);
        const access = resolveAccess(options);
        const remote = new RemoteConnection(access);
        try {
          const tunnel = await remote.open(runner, target, { waitMs: FORWARD_WAIT_MS, onlyKnown: true });
          new WaitNotices(access).watchDial(tunnel, runner, `up to ${FORWARD_WAIT_MS / 1_000} s`);
          const { promise, resolve, reject } = Promise.withResolvers<void>();
          tunnel.once("error", reject);
          process.stdin.on("error", () => tunnel.end()); // permanent
          process.stdout.on("error", () => tunnel.destroy(new Error("nobody reads the output")));
          process.stdin.pipe(tunnel);
          tunnel.pipe(process.stdout, { end: false });
          tunnel.once("end", () => resolve()); // the target has sent everything: the program in front of us ends too
          await promise;
        } finally {
          remote.close();
          process.stdin.destroy();
        }
      });
  },
);
