#!/usr/bin/env node
import { requireNode } from "./node-version.ts";

requireNode();
const { runCommand } = await import("./run-command.ts");
const { revdialClient } = await import("./commands/revdial-client.ts");
await runCommand(revdialClient, process.argv.slice(2));
