/** `turnabout kick`: closes a runner's connections. */
import type { Command } from "../command.ts";
import { programCommand } from "../program.ts";
import { withAccessOptions } from "../remote/access.ts";
import type { AccessOptions } from "../remote/access.ts";
import { withClient } from "./with-client.ts";

export const kick: Command = programCommand(
  "kick",
  "close a runner's connections; its agent connects again",
  (program) => {
    withAccessOptions(program)
      .argument("<runner>")
      .action(async (runner: string, options: AccessOptions) => {
        await withClient(options, (client) =>
          client.call("delete", "/api/v1/runners/{id}", { path: { id: runner } }),
        );
        process.stdout.write(`${runner}: its connections drain\n`);
      });
  },
);
