/** `turnabout status`: the runners, their targets and connections. */
import { setTimeout as delay } from "node:timers/promises";
import type { ApiClient } from "../../clients/api/api-client.ts";
import type { Output } from "../../clients/api/operations.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Command } from "../command.ts";
import { formatAge, formatMs, formatTable, printable } from "../output/table.ts";
import { programCommand } from "../program.ts";
import { print, withClient, withListingOptions } from "./with-client.ts";
import type { ListingOptions } from "./with-client.ts";

type Runners = Output<"get", "/api/v1/runners">;
type Runner = Runners["runners"][number];

interface StatusOptions extends ListingOptions {
  watch?: boolean;
}

const WATCH_INTERVAL_MS = 2_000;
/** Cursor to the first place, and everything from there removed. */
const CLEAR = "\u001b[H\u001b[J";

export const status: Command = programCommand(
  "status",
  "list runners, their targets and connections",
  (program) => {
    withListingOptions(program)
      .argument("[runner]", "only this one; * matches any characters")
      .option("--watch", "list again every two seconds, until Ctrl-C")
      .action(async (pattern: string | undefined, options: StatusOptions) => {
        await withClient(options, async (client) => {
          if (options.watch !== true) return show(await runnersOf(client, pattern), options);
          for (;;) {
            const runners = await runnersOf(client, pattern);
            if (process.stdout.isTTY && options.json !== true) process.stdout.write(CLEAR);
            show(runners, options);
            await delay(WATCH_INTERVAL_MS);
          }
        });
      });
  },
);

async function runnersOf(client: ApiClient, pattern: string | undefined): Promise<Runners> {
  const all = await client.call("get", "/api/v1/runners", {});
  if (pattern === undefined) return all;
  const runners = all.runners.filter(({ id }) => matches(id, pattern));
  if (runners.length === 0) {
    const hint =
      all.runners.length === 0
        ? "no runner has ever connected that this token may see"
        : `\`turnabout status\` lists the ${all.runners.length} that this token may see; quote a pattern: 'gpu-*'`;
    throw new TurnaboutError("runner_unknown", `no runner ${JSON.stringify(pattern)}`, { hint });
  }
  return { runners };
}

function matches(id: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[^\w-]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(id);
}

function show(runners: Runners, options: ListingOptions): void {
  print(runners, options, ({ runners: list }) =>
    list.length === 0
      ? "no runners\n"
      : formatTable(
          ["RUNNER", "STATE", "SINCE", "CARRIER", "RTT", "CONNS", "STREAMS", "VERSION", "TARGETS"],
          list.map(row),
        ),
  );
}

function row({ id, state, since, carrier, rttMs, connections, version, targets }: Runner): string[] {
  const streams = connections.reduce((sum, connection) => sum + connection.streams, 0);
  return [
    id,
    state,
    formatAge(since),
    carrier ?? "-",
    formatMs(rttMs),
    String(connections.length),
    String(streams),
    printable(version ?? "-"),
    targets.map(({ name, healthy }) => (healthy ? name : `${name} (down)`)).join(" "),
  ];
}
