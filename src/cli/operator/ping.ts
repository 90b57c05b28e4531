/** `turnabout ping`: round trips between the control plane and an agent. */
import { setTimeout as delay } from "node:timers/promises";
import type { ApiClient } from "../../clients/api/api-client.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import type { Command } from "../command.ts";
import { parseNumber } from "../options.ts";
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

/** Of a round trip to an agent that is away or slow, which the next one may make. Everything else is an error of the command. */
const LOSSES: ReadonlySet<ErrorCode> = new Set([
  "runner_offline",
  "tunnel_lost",
  "tunnel_timeout",
  "agent_draining",
  "overloaded",
  "control_plane_draining",
]);
/** And where one has been made: the control plane itself is away. */
const INTERRUPTIONS: ReadonlySet<ErrorCode> = new Set(["carrier_failed", "server_unreachable"]);

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
        const count = parseNumber(options.count, "--count", { min: 1, max: MAX_COUNT });
        const intervalS = parseNumber(options.interval, "--interval", {
          min: 0,
          max: MAX_INTERVAL_S,
          fractions: true,
        });
        const roundTrips: number[] = [];
        await withClient(options, async (client) => {
          for (let n = 0; n < count; n += 1) {
            if (n > 0) await delay(intervalS * 1_000);
            const pong = await measure(client, runner, roundTrips.length > 0);
            if (pong.rttMs !== null) roundTrips.push(pong.rttMs);
            process.stdout.write(options.json === true ? `${JSON.stringify(pong)}\n` : describe(pong));
          }
        });
        if (options.json !== true) process.stdout.write(summarise(count, roundTrips));
        if (roundTrips.length === 0) process.exitCode = 1;
      });
  },
);

/** @throws TurnaboutError for what no further attempt would change */
async function measure(client: ApiClient, runner: string, hasSucceeded: boolean): Promise<Pong> {
  const path = { id: runner };
  try {
    const { connection, rttMs } = await client.call("get", "/api/v1/runners/{id}/ping", { path });
    const { connections } = await client.call("get", "/api/v1/runners/{id}", { path });
    const carrier = connections.find(({ id }) => id === connection)?.carrier ?? null;
    return { runner, carrier, connection, rttMs, error: null };
  } catch (error) {
    if (!(error instanceof TurnaboutError)) throw error;
    const isLoss = LOSSES.has(error.code) || (hasSucceeded && INTERRUPTIONS.has(error.code));
    if (!isLoss) throw error;
    return { runner, carrier: null, connection: null, rttMs: null, error: error.message };
  }
}

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
