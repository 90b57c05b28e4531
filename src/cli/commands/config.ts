/** `turnabout config`: checks a configuration file, and prints its schema. */
import { resolveAgentConfig } from "../../agent/config.ts";
import { checkOptions } from "../../control/options.ts";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Command } from "../command.ts";
import { AGENT_OPTIONS } from "../config/agent-options.ts";
import { chooseRunners } from "../config/agent-runners.ts";
import { readConfigFile } from "../config/config-file.ts";
import type { ConfigFile } from "../config/config-file.ts";
import { Given } from "../config/given.ts";
import { jsonSchema } from "../config/schema.ts";
import { SERVE_OPTIONS } from "../config/serve-options.ts";
import { programCommand } from "../program.ts";
import { agentOptions, allowedAbsence } from "./agent-inputs.ts";
import { controlPlaneOptions } from "./serve.ts";

const NO_FLAGS = { values: {}, given: [] };

export const config: Command = programCommand("config", "check a configuration file", (program) => {
  program
    .command("check")
    .description("check the file of --config; status 1 and every problem if it is not valid")
    .argument("<file>")
    .option("--files", "also the files that it names: tokens, certificates, keys")
    .action(async (file: string, { files }: { files?: boolean }) => {
      const content = readConfigFile(file);
      try {
        await checkServe(content, files === true);
        checkAgent(content);
      } catch (error) {
        const hint = (error as { hint?: string }).hint ?? "docs/configuration.md has every key";
        throw new TurnaboutError("config_invalid", `${file}: ${toError(error).message}`, {
          cause: error,
          hint,
        });
      }
      const sections = (["serve", "agent"] as const).filter((name) => content[name] !== undefined);
      process.stdout.write(`${file}: valid for ${sections.join(" and ") || "nothing: it has no section"}\n`);
    });

  program
    .command("schema")
    .description("print the JSON schema of the file, for editors")
    .action(() => void process.stdout.write(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`));
});

async function checkServe({ serve }: ConfigFile, withFiles: boolean): Promise<void> {
  if (serve === undefined) return;
  const { "moonlight-credentials-file": secret, ...others } = serve;
  const values = withFiles && secret !== undefined ? serve : others;
  const options = await controlPlaneOptions(
    new Given(SERVE_OPTIONS, { flags: NO_FLAGS, env: {}, file: values }),
  );
  if (!withFiles) return void checkOptions(options);
  const { checkControlPlane } = await import("../../control/check-files.ts");
  await checkControlPlane(options);
}

/** What an agent reads again at every attempt may appear later: it is checked by its log. */
function checkAgent({ agent }: ConfigFile): void {
  if (agent === undefined) return;
  const given = new Given(AGENT_OPTIONS, { flags: NO_FLAGS, env: {}, file: agent.values });
  const runners = chooseRunners({ given: [], env: {}, file: agent.runners }, allowedAbsence(given));
  // The server and the token may come from the environment.
  const options = { ...agentOptions(given), server: given.text("server") ?? "http://localhost", runners };
  resolveAgentConfig({ ...options, token: { value: "of the environment" } });
}
