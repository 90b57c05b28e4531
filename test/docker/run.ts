/**
 * `npm run e2e:docker`: two Docker levels for real, two test files at a time: they mostly wait.
 *
 *     node test/docker/run.ts [FILE...]     some files only
 */
import { globSync } from "node:fs";
import { commandLine, runFiles } from "../runner/run-files.ts";
import { provideParts } from "../support/provide-parts.ts";
import { TERMINATOR_PARTS } from "./terminator-images.ts";
import { DOCKER_PARTS, PODMAN_PARTS } from "./parts.ts";

provideParts([...DOCKER_PARTS, ...PODMAN_PARTS, ...TERMINATOR_PARTS]);

const { given, flags } = commandLine();
/** The longest first. */
const FIRST = ["test/docker/faults.test.ts", "test/docker/deployment-guide.test.ts"];
const others = globSync("test/docker/**/*.test.ts", { exclude: FIRST }).toSorted();
process.exitCode = await runFiles(given.length > 0 ? given : [...FIRST, ...others], {
  flags,
  concurrency: 2,
  testTimeoutMs: 1_200_000,
  fileTimeoutMs: 1_500_000,
  runTimeoutMs: 2_400_000,
});
