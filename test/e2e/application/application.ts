/** An ordinary web application with a login, as its own process: Django's admin site. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { within } from "../../support/events.ts";

export const USER = "alice";
export const PASSWORD = "a password that only Alice knows";

export interface Application extends AsyncDisposable {
  /** `127.0.0.1:40123` */
  readonly address: string;
}

const START_TIMEOUT_MS = 60_000;

export async function startApplication(): Promise<Application> {
  const folder = await mkdtemp(join(tmpdir(), "turnabout-e2e-application-"));
  // Debian's own, which has Debian's packages; another one may come first in PATH.
  const child = spawn("/usr/bin/python3", [fileURLToPath(new URL("serve.py", import.meta.url)), folder], {
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"],
      DJANGO_SUPERUSER_USERNAME: USER,
      DJANGO_SUPERUSER_PASSWORD: PASSWORD,
      DJANGO_SUPERUSER_EMAIL: "alice@example.com",
    },
  });
  const closed = once(child, "close");
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaints += text));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await closed;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    createInterface({ input: child.stdout }).on("line", (line) => {
      const port = /^listens on (\d+)$/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    child.once("close", () => reject(new Error(`the application has ended: ${complaints.slice(-2_000)}`)));
    const port = await within(promise, "the application's start", START_TIMEOUT_MS);
    return { address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
