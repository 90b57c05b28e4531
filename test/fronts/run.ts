/**
 * `npm run fronts`: Turnabout behind real proxies, and the table in docs/deployment.md that says what was seen.
 *
 *     npm run fronts -- --write-table     rewrites that table
 */
import { provideParts, run } from "../support/provide-parts.ts";
import { PARTS } from "./parts.ts";

provideParts(PARTS);
if (process.argv.includes("--write-table")) process.env["WRITE_TABLE"] = "yes";
process.exitCode = run(process.execPath, ["--test", "--test-timeout=600000", "test/fronts/fronts.test.ts"]);
