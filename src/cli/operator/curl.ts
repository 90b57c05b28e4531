/** `turnabout curl`: curl at a target, with the control plane's address and the token filled in. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorCodeOf } from "../../wire/errors.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { parseTargetUrl } from "../forward/mapping.ts";
import { WaitNotices } from "../forward/wait-notices.ts";
import { programCommand } from "../program.ts";
import { resolveAccess, withAccessOptions } from "../remote/access.ts";
import type { AccessOptions, RemoteAccess } from "../remote/access.ts";

/** Options of ours: behind the URL they would be curl's. */
const OWN_OPTIONS = /^--(?:server|token-file|ca|profile)(?:=|$)/;

export const curl: Command = programCommand("curl", "send a request to a target with curl", (program) => {
  withAccessOptions(program)
    .argument("<url>", "RUNNER/TARGET/path?query")
    .argument("[options...]", "curl's own, after the URL")
    .passThroughOptions()
    .allowUnknownOption()
    .addHelpText("after", "\n  turnabout curl wolf-1/wolf/api/v1/lobbies -i\n\nThe exit status is curl's.")
    .action(async (url: string, args: string[], options: AccessOptions) => {
      if (url.startsWith("-"))
        throw new UsageError(
          `${url}: no option of turnabout`,
          "give curl's options after the URL: turnabout curl RUNNER/TARGET/path -X POST",
        );
      const misplaced = args.find((arg) => OWN_OPTIONS.test(arg));
      if (misplaced !== undefined)
        throw new UsageError(
          `${misplaced.replace(/=.*$/s, "")} after the URL: what is there is for curl`,
          "give turnabout's options before the URL, and curl's after it",
        );
      const { destination, path } = parseTargetUrl(url);
      const { runner, target } = destination;
      const access = resolveAccess(options);
      const base = access.server.replace(/\/+$/, "");
      const route = `${base}/api/v1/runners/${runner}/targets/${target}${path}`;
      const ended = new AbortController();
      new WaitNotices(access).watch(runner, "as long as the control plane allows", ended.signal);
      try {
        process.exitCode = await runCurl(route, args, access);
      } finally {
        ended.abort();
      }
    });
});

/** The token reaches curl in a file of its own, which only this user can read: `ps` shows arguments to all. */
async function runCurl(url: string, args: readonly string[], { token, ca }: RemoteAccess): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "turnabout-"));
  try {
    const config = join(folder, "curlrc");
    const lines = [`header = ${JSON.stringify(`Authorization: Bearer ${token}`)}`];
    if (ca !== undefined) {
      const file = join(folder, "ca.pem");
      writeFileSync(file, ca, { mode: 0o600 });
      lines.push(`cacert = ${JSON.stringify(file)}`);
    }
    writeFileSync(config, `${lines.join("\n")}\n`, { mode: 0o600 });
    // curl would resolve `..` itself, and leave the route.
    const given = ["--config", config, "--path-as-is", ...args, "--", url];
    const child = spawn("curl", given, { stdio: "inherit" });
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    return signal === null ? (code ?? 1) : 1;
  } catch (error) {
    if (errorCodeOf(error) !== "ENOENT") throw error;
    throw new UsageError("curl is not installed", "install it, or use `turnabout forward`");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
