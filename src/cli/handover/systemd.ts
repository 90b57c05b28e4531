/**
 * Reports to the service manager, if there is one (sd_notify(3)). Node has no datagram sockets of the Unix family, so
 * `systemd-notify` sends the messages; the unit has `NotifyAccess=all` for it.
 */
import { spawn } from "node:child_process";
import type { Logger } from "../../wire/log.ts";
import { NOTIFY_TIMEOUT_MS } from "./limits.ts";

/** Sends assignments such as `READY=1`. Never rejects: the service runs without its manager's knowledge. */
export type Notify = (...assignments: string[]) => Promise<void>;

/** A service manager wants reports. */
export function isNotified({ NOTIFY_SOCKET: socket }: NodeJS.ProcessEnv = process.env): boolean {
  return socket !== undefined && socket !== "";
}

export function createNotify(log: Logger, env: NodeJS.ProcessEnv = process.env): Notify {
  const { NOTIFY_SOCKET: socket, PATH: path } = env;
  if (socket === undefined || !isNotified(env)) return () => Promise.resolve();
  let last = Promise.resolve();
  return (...assignments) => {
    // One after the other: the order matters.
    last = last.then(async () => {
      const reason = await send(assignments, { NOTIFY_SOCKET: socket, PATH: path });
      if (reason !== undefined) log.warn({ assignments, reason }, "systemd-notify failed");
    });
    return last;
  };
}

/** Why it has failed. */
async function send(assignments: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const child = spawn("systemd-notify", assignments, { env, stdio: "ignore", timeout: NOTIFY_TIMEOUT_MS });
  child.once("error", (error) => resolve(error.message));
  child.once("exit", (code, signal) => resolve(code === 0 ? undefined : (signal ?? `status ${code}`)));
  return promise;
}
