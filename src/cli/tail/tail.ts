/** `turnabout tail`: the access log live. */
import { joinReasons } from "../../wire/errors.ts";
import { once } from "node:events";
import { isStatusList } from "../../control/api/live/access-filter.ts";
import { MAX_STATUS_FILTERS } from "../../control/api/live/limits.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { withClient, withListingOptions } from "../operator/with-client.ts";
import type { ListingOptions } from "../operator/with-client.ts";
import { programCommand } from "../program.ts";
import { describeAccessLine } from "./access-line.ts";
import { follow } from "./follow.ts";

interface TailOptions extends ListingOptions {
  runner?: string;
  target?: string;
  credential?: string;
  status?: string;
}

export const tail: Command = programCommand("tail", "print requests as they end", (program) => {
  withListingOptions(program)
    .option("--runner <pattern>", "only of these runners; * matches any characters")
    .option("--target <pattern>", "only of these targets")
    .option("--credential <pattern>", "only with these credentials")
    .option("--status <list>", "only with these: 404,5xx")
    .addHelpText(
      "after",
      `
Until Ctrl-C; needs no --access-log at \`serve\`. An admin sees every request, a user the user's own. With --json each line is that
of the access log. If this reader is too slow, lines are left out, and their number is printed on standard error.

  turnabout tail --runner 'gpu-*' --status 5xx`,
    )
    .action(async (options: TailOptions) => {
      const stop = new AbortController();
      const { signal } = stop;
      for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stop.abort());
      const { runner, target, credential, status } = options;
      const query = {
        ...(runner !== undefined && { runner }),
        ...(target !== undefined && { target }),
        ...(credential !== undefined && { credential }),
        ...(status !== undefined && { status: parseStatuses(status) }),
      };
      await withClient(options, async (client) => {
        const open = (onOpen: () => void) =>
          client.events("/api/v1/access-log", { query }, { signal, onOpen });
        const events = follow(open, {
          signal,
          onLost: (reason) => warn(joinReasons([`the log is interrupted: ${reason}`, "connecting again"])),
          onReopened: () => warn("connected again; what has ended in between is missing"),
        });
        for await (const { type, data } of events) {
          if (type === "dropped") warn(`${droppedLines(data)} lines were left out: this reader was too slow`);
          else if (type === "line")
            await print(options.json === true ? data : describeAccessLine(data), signal);
        }
      });
    });
});

/** @throws UsageError */
function parseStatuses(given: string): string {
  const list = given.toLowerCase().replaceAll(/\s/g, "");
  if (isStatusList(list)) return list;
  throw new UsageError(
    `--status ${given}: not a list of statuses`,
    `use statuses and classes with commas between them, such as 404,5xx; at most ${MAX_STATUS_FILTERS}`,
  );
}

function droppedLines(data: string): number {
  return (JSON.parse(data) as { lines: number }).lines;
}

function warn(text: string): void {
  process.stderr.write(`warning: ${text}\n`);
}

/** Waits for a slow terminal or pipe: the control plane then counts what it leaves out. */
async function print(line: string, signal: AbortSignal): Promise<void> {
  if (process.stdout.write(`${line}\n`) || signal.aborted) return;
  await once(process.stdout, "drain", { signal }).catch(() => {}); // aborted: it ends
}
