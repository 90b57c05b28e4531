/** h2spec, an independent conformance tester of HTTP/2 servers: run, and its report read. */
import { execFile } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { promisify } from "node:util";
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

/** `expected` failures are believed; any other test that fails is run again, alone and with more time. */
export async function runH2spec(target: H2specTarget, expected: ReadonlySet<string>): Promise<H2specReport> {
  const reports = await Promise.all(GROUPS.map((group) => run(target, [group], TIMEOUT_S)));
  const failed = new Map(reports.flatMap((report) => [...report.failed]));
  const passed = reports.reduce((sum, report) => sum + report.passed, 0);
  const unexpected = [...failed.keys()].filter((id) => !expected.has(id));
  let late = 0;
  for (const id of unexpected) {
    const again = await run(target, [id], PATIENT_TIMEOUT_S);
    if (again.failed.size > 0 || again.passed === 0) continue;
    failed.delete(id);
    late += 1;
  }
  return { passed: passed + late, failed };
}

async function run(target: H2specTarget, specs: readonly string[], timeoutS: number): Promise<H2specReport> {
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
  await promisify(execFile)(partPath("h2spec"), args, { timeout: 60_000 }).catch(() => {});
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
