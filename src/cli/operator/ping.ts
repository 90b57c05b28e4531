/** `turnabout ping`: round trips between the control plane and an agent. */
import { setTimeout as delay } from "node:timers/promises";
import { toError } from "../../wire/errors.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { formatMs } from "../output/table.ts";
import { programCommand } from "../program.ts";
import { withClient, withListingOptions } from "./with-client.ts";
import type { ListingOptions } from "./with-client.ts";

interface PingOptions extends ListingOptions {
  count: string;
  interval: string;
}

interface Pong {
  runner: string;
  carrier: string | null;
  connection: string | null;
  rttMs: number | null;
  error: string | null;
}

const MAX_COUNT = 1_000_000;
const MAX_INTERVAL_S = 3_600;

export const ping: Command = programCommand(
  "ping",
  "measure the round trip to a runner's agent",
  (program) => {
    withListingOptions(program)
      .argument("<runner>")
      .option("-c, --count <n>", "how many", "4")
      .option("-i, --interval <seconds>", "from one to the next", "1")
      .addHelpText(
        "after",
        "\nThe round trip is that from the control plane to the agent and back, on the connection that the next request\nwould use. Exit status 1 if none has succeeded.",
      )
      .action(async (runner: string, options: PingOptions) => {
        const count = parseNumber(options.count, "--count", MAX_COUNT);
        const intervalMs = parseNumber(options.interval, "--interval", MAX_INTERVAL_S) * 1_000;
        const roundTrips: number[] = [];
        await withClient(options, async (client) => {
          for (let n = 0; n < count; n += 1) {
            if (n > 0) await delay(intervalMs);
            let pong: Pong;
            try {
              const { connection, rttMs } = await client.call("get", "/api/v1/runners/{id}/ping", {
                path: { id: runner },
              });
              const { connections } = await client.call("get", "/api/v1/runners/{id}", {
                path: { id: runner },
              });
              const carrier = connections.find(({ id }) => id === connection)?.carrier ?? null;
              roundTrips.push(rttMs);
              pong = { runner, carrier, connection, rttMs, error: null };
            } catch (error) {
              const { message } = toError(error);
              pong = { runner, carrier: null, connection: null, rttMs: null, error: message };
            }
            process.stdout.write(options.json === true ? `${JSON.stringify(pong)}\n` : describe(pong));
          }
        });
        if (options.json !== true) process.stdout.write(summarise(count, roundTrips));
        if (roundTrips.length === 0) process.exitCode = 1;
      });
  },
);

function describe({ runner, carrier, connection, rttMs, error }: Pong): string {
  if (error !== null) return `${runner}: ${error}\n`;
  return `${runner}: ${formatMs(rttMs)} by ${carrier ?? "?"}, connection ${connection ?? "?"}\n`;
}

function summarise(count: number, roundTrips: readonly number[]): string {
  const lost = Math.round((1 - roundTrips.length / count) * 100);
  const head = `${count} sent, ${roundTrips.length} returned, ${lost} % lost`;
  if (roundTrips.length === 0) return `${head}\n`;
  const mean = roundTrips.reduce((sum, ms) => sum + ms, 0) / roundTrips.length;
  const parts = [Math.min(...roundTrips), mean, Math.max(...roundTrips)].map(formatMs);
  return `${head}; least, mean, most: ${parts.join(", ")}\n`;
}

function parseNumber(value: string, option: string, max: number): number {
  const number = Number(value);
  if (/^\d+(\.\d+)?$/.test(value) && number <= max && (option !== "--count" || Number.isInteger(number)))
    return number;
  throw new UsageError(`${option} ${value}: not a number that is possible here`, `use 0 to ${max}`);
}
