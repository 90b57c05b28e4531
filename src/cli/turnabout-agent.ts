#!/usr/bin/env node
import { requireNode } from "./node-version.ts";

requireNode();
const { runCommand } = await import("./run-command.ts");
const { agent } = await import("./commands/agent.ts");
const [first, ...rest] = process.argv.slice(2);
if (first === "--version" || first === "-v") {
  const { VERSION } = await import("../wire/version.ts");
  const { endWithStandardOutput } = await import("./output/standard-output.ts");
  endWithStandardOutput();
  process.stdout.write(`turnabout-agent ${VERSION}\n`);
} else {
  // `turnabout agent …` too: in the agents' images this file takes the place of `turnabout`.
  await runCommand(agent, first === "agent" ? rest : process.argv.slice(2));
}
