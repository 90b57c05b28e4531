/** A real Chromium with a home of its own, which is removed with it. Disposing twice is allowed. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import type { Browser } from "playwright-core";

const ARGUMENTS: readonly string[] = [
  "--no-sandbox", // root, or a container without user namespaces
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
  // WebRTC on one machine: candidates as addresses, and the loopback interface.
  "--allow-loopback-in-peer-connection",
  "--disable-features=WebRtcHideLocalIpsWithMdns",
];

const START_TIMEOUT_MS = 30_000;

export interface TestBrowser extends AsyncDisposable {
  readonly browser: Browser;
  /** Its folder: processes with it in their arguments are the browser's. */
  readonly home: string;
}

export interface ChromiumOptions {
  /** PEM of an authority that it trusts besides the usual ones. */
  ca?: string | undefined;
}

export async function startChromium({ ca }: ChromiumOptions = {}): Promise<TestBrowser> {
  const home = await mkdtemp(join(tmpdir(), "turnabout-e2e-chromium-"));
  const remove = (): Promise<void> => rm(home, { recursive: true, force: true, maxRetries: 5 });
  try {
    if (ca !== undefined) await trust(home, ca);
    const browser = await chromium.launch({
      executablePath: "/usr/bin/chromium",
      headless: true,
      args: [...ARGUMENTS],
      env: { PATH: process.env["PATH"], HOME: home, TMPDIR: home },
      timeout: START_TIMEOUT_MS,
    });
    let closed: Promise<void> | undefined;
    return {
      browser,
      home,
      [Symbol.asyncDispose]: () => (closed ??= browser.close().then(remove)),
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Chromium on Linux reads authorities from the user's NSS database. */
async function trust(home: string, ca: string): Promise<void> {
  const folder = join(home, ".pki", "nssdb");
  const file = join(home, "ca.pem");
  await mkdir(folder, { recursive: true });
  await writeFile(file, ca);
  const certutil = (...args: string[]) => promisify(execFile)("certutil", ["-d", `sql:${folder}`, ...args]);
  await certutil("-N", "--empty-password");
  await certutil("-A", "-n", "test authority", "-t", "C,,", "-i", file);
}
