/**
 * `npm run e2e:docker`: two Docker levels for real, two test files at a time: they mostly wait.
 *
 *     node test/docker/run.ts [FILE...]     some files only
 */
import { globSync } from "node:fs";
import { provideParts, run } from "../support/provide-parts.ts";
import { FRONT_PARTS } from "./front-images.ts";
import { DOCKER_PARTS, PODMAN_PARTS } from "./parts.ts";

provideParts([...DOCKER_PARTS, ...PODMAN_PARTS, ...FRONT_PARTS]);

const given = process.argv.slice(2);
/** The longest first. */
const FIRST = ["test/docker/faults.test.ts", "test/docker/deployment-guide.test.ts"];
const others = globSync("test/docker/**/*.test.ts", { exclude: FIRST }).toSorted();
const files = given.length > 0 ? given : [...FIRST, ...others];
const tests = ["--test", "--test-timeout=1200000", "--test-concurrency=2", ...files];
process.exitCode = run(process.execPath, tests);
