/** A real sshd of its own, which one key may log in to. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { closedAtTheEnd } from "../../support/cleanup.ts";

export interface SshServer extends AsyncDisposable {
  /** Options for ssh and scp: the key, and no question about the host. */
  clientOptions: string[];
  user: string;
}

/** @param port free on 127.0.0.1 */
export async function startSshServer(port: number): Promise<SshServer> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "turnabout-ssh-"));
  const key = (name: string): string => {
    const file = path.join(folder, name);
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
    return file;
  };
  const host = key("host");
  const client = key("client");
  const allowed = path.join(folder, "allowed");
  copyFileSync(`${client}.pub`, allowed);
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true });
  const options = {
    Port: String(port),
    ListenAddress: "127.0.0.1",
    HostKey: host,
    AuthorizedKeysFile: allowed,
    StrictModes: "no",
    PidFile: "none",
    PermitRootLogin: "prohibit-password",
    UsePAM: "no",
    Subsystem: "sftp internal-sftp",
  };
  const flags = Object.entries(options).map(([name, value]) => `-o${name}=${value}`);
  const child = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", "/dev/null", ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  child.stderr.on("error", () => {});
  const close = closedAtTheEnd(async () => {
    const closed = once(child, "close");
    child.kill();
    await closed;
    rmSync(folder, { recursive: true, force: true });
  });
  for await (const chunk of child.stderr) if (String(chunk).includes("Server listening")) break;
  const known = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"];
  return {
    clientOptions: ["-F", "/dev/null", "-i", client, "-oIdentitiesOnly=yes", ...known],
    user: os.userInfo().username,
    [Symbol.asyncDispose]: close,
  };
}
