/** `turnabout upgrade`: a new process in the place of a running control plane. */
import { parseArgs } from "node:util";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { requestUpgrade } from "../handover/control-socket.ts";

const HELP = `
usage: turnabout upgrade --data-dir DIR

Starts a new process in the place of the control plane that uses this data directory: the same program and options, as
they are on disk now, with the same environment. No connection is refused. The old process drains and ends; agents and new
requests go to the new one. If the new process cannot serve, the old one goes on, and the exit status is 1.

Prints the process id of the new one.

  --data-dir DIR     that of the running \`turnabout serve\`; run it as the same user
`;

export const upgrade: Command = {
  name: "turnabout upgrade",
  summary: "replace a running control plane without an outage",
  help: HELP,
  async run(args) {
    const { values } = parseArgs({ args, options: { "data-dir": { type: "string" } } });
    const directory = values["data-dir"];
    if (directory === undefined)
      throw new UsageError("no data directory given", "give --data-dir DIR of the running `turnabout serve`");
    process.stdout.write(`${await requestUpgrade(directory)}\n`);
  },
};
