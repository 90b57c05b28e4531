/** `turnabout curl`: curl at a target, with the control plane's address and the token filled in. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { errorCodeOf } from "../../wire/errors.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { parseDestination } from "../forward/mapping.ts";
import { programCommand } from "../program.ts";
import { resolveAccess, withAccessOptions } from "../remote/access.ts";
import type { AccessOptions, RemoteAccess } from "../remote/access.ts";

export const curl: Command = programCommand("curl", "send a request to a target with curl", (program) => {
  withAccessOptions(program)
    .argument("<url>", "RUNNER/TARGET/path?query")
    .argument("[options...]", "curl's own, after the URL")
    .passThroughOptions()
    .allowUnknownOption()
    .addHelpText("after", "\n  turnabout curl wolf-1/wolf/api/v1/lobbies -i\n\nThe exit status is curl's.")
    .action(async (url: string, args: string[], options: AccessOptions) => {
      const access = resolveAccess(options);
      const [, runnerTarget = "", rest = ""] = /^([^/]+\/[^/?]+)(.*)$/s.exec(url) ?? [];
      const { runner, target } = parseDestination(runnerTarget, "use RUNNER/TARGET/path");
      const base = access.server.replace(/\/+$/, "");
      const route = `${base}/api/v1/runners/${runner}/targets/${target}${rest.startsWith("/") ? rest : `/${rest}`}`;
      process.exitCode = await runCurl(route, args, access);
    });
});

/** The token reaches curl in a file of its own, which only this user can read: `ps` shows arguments to all. */
async function runCurl(url: string, args: readonly string[], { token, ca }: RemoteAccess): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), "turnabout-"));
  try {
    const config = path.join(folder, "curlrc");
    const lines = [`header = ${JSON.stringify(`Authorization: Bearer ${token}`)}`];
    if (ca !== undefined) {
      const file = path.join(folder, "ca.pem");
      writeFileSync(file, ca, { mode: 0o600 });
      lines.push(`cacert = ${JSON.stringify(file)}`);
    }
    writeFileSync(config, `${lines.join("\n")}\n`, { mode: 0o600 });
    const child = spawn("curl", ["--config", config, ...args, "--", url], { stdio: "inherit" });
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    return signal === null ? (code ?? 1) : 1;
  } catch (error) {
    if (errorCodeOf(error) !== "ENOENT") throw error;
    throw new UsageError("curl is not installed", "install it, or use `turnabout forward`");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
