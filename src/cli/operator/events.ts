/** `turnabout events`: what happens, as it happens. */
import type { Command } from "../command.ts";
import { printable } from "../output/table.ts";
import { collect, programCommand } from "../program.ts";
import { withClient, withListingOptions } from "./with-client.ts";
import type { ListingOptions } from "./with-client.ts";

export const events: Command = programCommand("events", "print events as they happen", (program) => {
  withListingOptions(program)
    .option("--type <type>", "only these; may be repeated", collect)
    .action(async (options: ListingOptions & { type?: string[] }) => {
      const stop = new AbortController();
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
      await withClient(options, async (client) => {
        for await (const { type, data } of client.events("/api/v1/events", {}, { signal: stop.signal })) {
          if (options.type !== undefined && !options.type.includes(type)) continue;
          process.stdout.write(options.json === true ? `${data}\n` : describe(type, data));
        }
      });
    });
});

function describe(type: string, data: string): string {
  const { type: _type, ...members } = JSON.parse(data) as Record<string, unknown>;
  const pairs = Object.entries(members).map(([name, value]) => {
    return `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`;
  });
  return `${new Date().toISOString()} ${type} ${printable(pairs.join(" "))}\n`;
}
