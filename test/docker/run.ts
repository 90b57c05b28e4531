/**
 * `npm run e2e:docker`: two Docker levels for real, one test file after the other.
 *
 *     node test/docker/run.ts [FILE...]     some files only
 */
import { globSync } from "node:fs";
import { provideParts, run } from "../support/provide-parts.ts";
import { FRONT_PARTS } from "./front-images.ts";
import { DOCKER_PARTS, PODMAN_PARTS } from "./parts.ts";

provideParts([...DOCKER_PARTS, ...PODMAN_PARTS, ...FRONT_PARTS]);

const given = process.argv.slice(2);
const files = given.length > 0 ? given : globSync("test/docker/**/*.test.ts").toSorted();
const tests = ["--test", "--test-timeout=1200000", "--test-concurrency=1", ...files];
process.exitCode = run(process.execPath, tests);
