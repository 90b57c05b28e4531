#!/usr/bin/env node
import { requireNode } from "./node-version.ts";

requireNode();
const { runCommand } = await import("./run-command.ts");
const { wolfRevdialClient } = await import("./commands/wolf-revdial-client.ts");
await runCommand(wolfRevdialClient, process.argv.slice(2));
