/** A real Chromium with a home of its own; everything of it is gone when it is disposed of, once or twice. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

export async function startChromium(): Promise<TestBrowser> {
  const home = await mkdtemp(join(tmpdir(), "turnabout-e2e-chromium-"));
  const remove = (): Promise<void> => rm(home, { recursive: true, force: true, maxRetries: 5 });
  try {
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
