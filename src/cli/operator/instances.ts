/** `turnabout instances`: Wolf instances with what they carry. */
import type { Output } from "../../clients/api/operations.ts";
import type { Command } from "../command.ts";
import { formatAge, formatTable, printable } from "../output/table.ts";
import { programCommand } from "../program.ts";
import { print, withClient, withListingOptions } from "./with-client.ts";
import type { ListingOptions } from "./with-client.ts";

type Instance = Output<"get", "/api/v1/wolf-instances">["wolf_instances"][number];

export const instances: Command = programCommand("instances", "list Wolf instances (admin)", (program) => {
  withListingOptions(program).action(async (options: ListingOptions) => {
    const list = await withClient(options, (client) => client.call("get", "/api/v1/wolf-instances", {}));
    print(list, options, ({ wolf_instances: all }) => (all.length === 0 ? "no instances\n" : tableOf(all)));
  });
});

function tableOf(all: readonly Instance[]): string {
  return formatTable(
    ["INSTANCE", "STATUS", "SANDBOXES", "GPU", "HEARTBEAT"],
    all.map((instance) => [
      instance.id,
      instance.status,
      `${instance.connected_sandboxes}/${instance.max_sandboxes}`,
      printable(instance.gpu_vendor ?? "-"),
      instance.last_heartbeat === null ? "never" : `${formatAge(instance.last_heartbeat)} ago`,
    ]),
  );
}
