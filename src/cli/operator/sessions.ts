/** `turnabout sessions`: users' sessions on sandboxes. */
import type { Input, Output } from "../../clients/api/operations.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { parseNumber } from "../options.ts";
import { formatAge, formatTable, printable } from "../output/table.ts";
import { programCommand } from "../program.ts";
import { withAccessOptions } from "../remote/access.ts";
import type { AccessOptions } from "../remote/access.ts";
import { named, print, withClient, withListingOptions } from "./with-client.ts";
import type { ListingOptions } from "./with-client.ts";

type Session = Output<"get", "/api/v1/sessions">["sessions"][number];
type NewSession = NonNullable<(Input<"post", "/api/v1/sessions"> & { body?: object })["body"]>;

interface CreateOptions extends ListingOptions {
  owner?: string;
  size?: string;
  image?: string;
}

export const sessions: Command = programCommand("sessions", "list, create and stop sessions", (program) => {
  withListingOptions(program.command("list").description("your sessions; for an admin all")).action(
    async (options: ListingOptions) => {
      const list = await withClient(options, (client) => client.call("get", "/api/v1/sessions", {}));
      print(list, options, ({ sessions: all }) => (all.length === 0 ? "no sessions\n" : tableOf(all)));
    },
  );

  withListingOptions(
    program.command("create").description("create a session on the least loaded Wolf instance"),
  )
    .argument("[name]", "shown in lists", "session")
    .option("--owner <user>", "whose it is (admin)")
    .option("--size <width>x<height>", "of its screen, in pixels")
    .option("--image <image>", "container image")
    .action(async (name: string, options: CreateOptions) => {
      const { owner, size, image } = options;
      const body: NewSession = {
        name,
        ...(owner !== undefined && { owner }),
        ...(image !== undefined && { image }),
        ...(size !== undefined && parseSize(size)),
      };
      const session = await withClient(options, (client) =>
        client.call("post", "/api/v1/sessions", { body }),
      );
      print(session, options, (created) => `${created.id}\n`);
    });

  withAccessOptions(program.command("stop").description("stop a session, and free its place"))
    .argument("<id>")
    .action(async (id: string, options: AccessOptions) => {
      await withClient(options, (client) =>
        named(client.call("delete", "/api/v1/sessions/{id}", { path: { id } }), {
          what: `session ${JSON.stringify(id)}`,
          hint: "`turnabout sessions list` lists them",
        }),
      );
      process.stdout.write(`${id}: stopped\n`);
    });
});

function tableOf(all: readonly Session[]): string {
  return formatTable(
    ["SESSION", "STATE", "OWNER", "NAME", "INSTANCE", "SANDBOX", "AGE"],
    all.map((session) => [
      session.id,
      session.state,
      printable(session.owner),
      printable(session.name),
      session.wolf_instance_id,
      session.runner_state,
      formatAge(session.created_at),
    ]),
  );
}

/** Of one side, as the API has it. */
const PIXELS = { min: 64, max: 16_384 };

function parseSize(value: string): { width: number; height: number } {
  const [, width = "", height = ""] = /^(\d+)x(\d+)$/.exec(value) ?? [];
  if (width === "")
    throw new UsageError(`--size ${value}: not a size`, "use WIDTHxHEIGHT, such as 1920x1080");
  return {
    width: parseNumber(width, "--size, width", PIXELS),
    height: parseNumber(height, "--size, height", PIXELS),
  };
}
