/** `turnabout diag`: a diagnosis of a control plane and its agents in one archive, without secrets. */
import { createWriteStream, rmSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { ApiClient } from "../../clients/api/api-client.ts";
import { matchesPattern } from "../../control/auth/identity.ts";
import { errorCodeOf } from "../../wire/errors.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { printable } from "../output/table.ts";
import { programCommand } from "../program.ts";
import { resolveAccess, withAccessOptions } from "../remote/access.ts";
import type { AccessOptions } from "../remote/access.ts";
import { collect } from "./collect.ts";
import { tarEnd, tarEntry } from "./tar.ts";

interface DiagOptions extends AccessOptions {
  out?: string;
  runner?: string;
  agents: boolean;
}

const FILE_MODE = 0o600;

export const diag: Command = programCommand(
  "diag",
  "collect a diagnosis of the control plane and its agents (admin)",
  (program) => {
    withAccessOptions(program)
      .option("--out <file>", "archive to create; default turnabout-diag-TIME.tar.gz")
      .option("--runner <pattern>", "agents of these runners only; * matches any characters")
      .option("--no-agents", "the control plane alone")
      .addHelpText(
        "after",
        `
Versions, configuration, runners, sessions, instances, metrics, recent log lines, heap and event loop. Secrets are removed at
each end; names of users, runners and files are in it, so look before you publish it.`,
      )
      .action(async (options: DiagOptions) => {
        const access = resolveAccess(options);
        const out =
          options.out ?? `turnabout-diag-${new Date().toISOString().replace(/[-:]|\..*/g, "")}.tar.gz`;
        const pattern = options.runner ?? "*";
        let count = 0;
        await using client = new ApiClient(access);
        const files = collect(client, {
          ...access,
          wants: options.agents ? (runner) => matchesPattern(pattern, runner) : undefined,
          onProblem: (problem) => process.stderr.write(`warning: ${printable(problem)}\n`),
        });
        const first = await files.next(); // before a file is created: the token may be refused
        async function* archive(): AsyncGenerator<Buffer, void, undefined> {
          const time = new Date();
          for (let next = first; next.done !== true; next = await files.next()) {
            count += 1;
            yield tarEntry(next.value.name, next.value.content, time);
          }
          yield tarEnd();
        }
        await write(out, archive());
        process.stdout.write(`${out}: ${count} files\n`);
      });
  },
);

async function write(file: string, blocks: AsyncIterable<Buffer>): Promise<void> {
  const output = createWriteStream(file, { flags: "wx", mode: FILE_MODE });
  let isCreated = false;
  output.once("open", () => (isCreated = true));
  try {
    await pipeline(Readable.from(blocks), createGzip(), output);
  } catch (error) {
    if (isCreated) rmSync(file, { force: true });
    if (errorCodeOf(error) !== "EEXIST") throw error;
    throw new UsageError(`--out ${file}: exists`, "give another name, or remove it");
  }
}
