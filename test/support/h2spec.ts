/** h2spec, an independent conformance tester of HTTP/2 servers: run, and its report read. */
import { execFile } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { promisify } from "node:util";
import { startBatchingRelay } from "./batching-relay.ts";
import { partPath } from "./parts.ts";
import { tempPath } from "./temp.ts";

export interface H2specTarget {
  port: number;
  tls: boolean;
  /** Responds to GET and POST with 200 and a body. */
  path: string;
}

export interface H2specReport {
  passed: number;
  /** Numbers as h2spec takes them, `http2/5.1/8`, with the titles of the tests. */
  failed: Map<string, string>;
}

const GROUPS = ["generic", "http2", "hpack"];
/** How long h2spec waits for a frame. If none arrives it reports a failure: such tests run again with a longer wait. */
const TIMEOUT_S = 1;
const PATIENT_TIMEOUT_S = 5;
const REPETITIONS = 3;
const MAX_OUTPUT_CHARACTERS = 2_000;

/**
 * `expected` failures are believed; any other test that fails is run again, alone, with more time, and so that the
 * frames of h2spec arrive together. Several tests send a second frame for a stream and expect its error: where the
 * server had the time to end that stream with its response, the frame is for a closed stream, and rightly ignored.
 */
export async function runH2spec(target: H2specTarget, expected: ReadonlySet<string>): Promise<H2specReport> {
  const reports = await Promise.all(GROUPS.map((group) => run(target, [group], TIMEOUT_S)));
  const failed = new Map(reports.flatMap((report) => [...report.failed]));
  const passed = reports.reduce((sum, report) => sum + report.passed, 0);
  const unexpected = [...failed.keys()].filter((id) => !expected.has(id));
  let late = 0;
  for (const id of unexpected) {
    if (!(await passesOnRepetition(target, id))) continue;
    failed.delete(id);
    late += 1;
  }
  return { passed: passed + late, failed };
}

/** What an end does not detect fails every time. */
async function passesOnRepetition(target: H2specTarget, id: string): Promise<boolean> {
  await using relay = await startBatchingRelay(target.port);
  for (let count = 0; count < REPETITIONS; count += 1) {
    const { failed, passed } = await run({ ...target, port: relay.port }, [id], PATIENT_TIMEOUT_S);
    if (failed.size === 0 && passed > 0) return true;
  }
  return false;
}

/** h2spec ends without a report when a connection is not made within its time limit: by a server without a core. */
async function run(target: H2specTarget, specs: readonly string[], timeoutS: number): Promise<H2specReport> {
  for (let count = 1; ; count += 1) {
    const outcome = await runOnce(target, specs, count * timeoutS);
    if (typeof outcome !== "string") return outcome;
    if (count === REPETITIONS) throw new Error(`no report of h2spec ${specs.join(" ")}: ${outcome}`);
  }
}

/** @returns what it has written instead, if there is no report */
async function runOnce(
  target: H2specTarget,
  specs: readonly string[],
  timeoutS: number,
): Promise<H2specReport | string> {
  const report = tempPath(".xml");
  const args = [
    ...specs,
    "--host",
    "127.0.0.1",
    "--port",
    String(target.port),
    "--path",
    target.path,
    "--timeout",
    String(timeoutS),
    "--junit-report",
    report,
    ...(target.tls ? ["--tls", "--insecure"] : []),
  ];
  // Its exit status says that a test has failed, and some always do.
  const written = await promisify(execFile)(partPath("h2spec"), args, { timeout: 60_000 }).catch(
    (error: Error & { stdout: string; stderr: string }) => error,
  );
  if (!existsSync(report)) return `${written.stdout}${written.stderr}`.slice(-MAX_OUTPUT_CHARACTERS);
  try {
    return parseReport(readFileSync(report, "utf8"));
  } finally {
    rmSync(report, { force: true });
  }
}

function parseReport(xml: string): H2specReport {
  const failed = new Map<string, string>();
  let passed = 0;
  for (const [, suite = "", tests = ""] of xml.matchAll(
    /<testsuite [^>]*package="([^"]+)"[^>]*>([^]*?)<\/testsuite>/g,
  )) {
    const cases = [...tests.matchAll(/<testcase [^>]*classname="([^"]*)"[^>]*>([^]*?)<\/testcase>/g)];
    for (const [index, [, title = "", outcome = ""]] of cases.entries()) {
      if (/<(error|failure)/.test(outcome)) failed.set(`${suite}/${index + 1}`, title);
      else if (!outcome.includes("<skipped")) passed += 1;
    }
  }
  return { passed, failed };
}
