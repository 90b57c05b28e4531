/** `turnabout events`: what happens, as it happens. */
import type { RegistryEvent } from "../../control/registry/registry.ts";
import type { SessionEvent } from "../../helix/sessions/session-event.ts";
import type { Command } from "../command.ts";
import { parseChoice } from "../options.ts";
import { printable } from "../output/table.ts";
import { collect, programCommand } from "../program.ts";
import { withClient, withListingOptions } from "./with-client.ts";
import type { ListingOptions } from "./with-client.ts";

type EventType = RegistryEvent["type"] | SessionEvent["type"];

/** An object, so that the compiler misses a type that is added. */
const KNOWN: Readonly<Record<EventType, true>> = {
  connected: true,
  replaced: true,
  rerouted: true,
  lost: true,
  "grace-expired": true,
  "session-created": true,
  "session-lost": true,
  "session-back": true,
  "session-ended": true,
};
const TYPES = Object.keys(KNOWN);

export const events: Command = programCommand("events", "print events as they happen", (program) => {
  withListingOptions(program)
    .option("--type <type>", `only these, of ${TYPES.join(", ")}; may be repeated`, collect)
    .action(async (options: ListingOptions & { type?: string[] }) => {
      for (const type of options.type ?? []) parseChoice(type, "--type", TYPES);
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
