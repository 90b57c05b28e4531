/** `turnabout kick`: closes a runner's connections. */
import type { Command } from "../command.ts";
import { programCommand } from "../program.ts";
import { withAccessOptions } from "../remote/access.ts";
import type { AccessOptions } from "../remote/access.ts";
import { named, withClient } from "./with-client.ts";

export const kick: Command = programCommand(
  "kick",
  "close a runner's connections; its agent connects again",
  (program) => {
    withAccessOptions(program)
      .argument("<runner>")
      .action(async (runner: string, options: AccessOptions) => {
        await withClient(options, (client) =>
          named(client.call("delete", "/api/v1/runners/{id}", { path: { id: runner } }), {
            what: `runner ${JSON.stringify(runner)}`,
            hint: "`turnabout status` lists the runners that this token may see",
          }),
        );
        process.stdout.write(`${runner}: its connections drain\n`);
      });
  },
);
