#!/usr/bin/env node
import { requireNode } from "./node-version.ts";

requireNode();
const { main } = await import("./main.ts");
await main(process.argv.slice(2));
