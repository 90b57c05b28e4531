/** `turnabout profile`: saved servers and credentials. */
import path from "node:path";
import { inPlaceOfFile } from "../../wire/fields/secret-text.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { requireFileName } from "../options.ts";
import { formatTable } from "../output/table.ts";
import { programCommand } from "../program.ts";
import { readToken } from "../remote/access.ts";
import { DEFAULT_PROFILE, profilePath, readProfiles, writeProfiles } from "../remote/profiles.ts";
import type { Profile } from "../remote/profiles.ts";

interface SetOptions {
  server?: string;
  tokenFile?: string;
  ca?: string;
}

export const profile: Command = programCommand("profile", "save servers and tokens", (program) => {
  program.addHelpText("after", `\nThe profiles are in ${profilePath()}, for their owner only.`);

  program
    .command("set")
    .description("save or change a profile")
    .argument("[name]", "", DEFAULT_PROFILE)
    .option("--server <url>", "control plane: http(s)://HOST[:PORT][/BASE]")
    .option(
      "--token-file <file>",
      "file with the token, read at each command; - saves the token of standard input",
    )
    .option("--ca <file>", "CA of the control plane's certificate")
    .action((name: string, { server, tokenFile, ca }: SetOptions) => {
      if (tokenFile !== undefined) requireFileName(tokenFile, "--token-file");
      const file = readProfiles();
      const old = file.profiles[name];
      const url = server ?? old?.server;
      if (url === undefined)
        throw new UsageError(`profile ${name}: no control plane given`, "give --server URL");
      const saved: Profile = {
        ...(old?.server === url && old), // a token is not for another server
        server: url,
        ...(ca !== undefined && { ca: path.resolve(ca) }),
      };
      if (tokenFile !== undefined) {
        delete saved.token;
        delete saved["token-file"];
        if (tokenFile === "-") saved.token = readToken("-");
        else saved["token-file"] = path.resolve(tokenFile);
      }
      writeProfiles({ ...file, profiles: { ...file.profiles, [name]: saved } });
    });

  program
    .command("use")
    .description("use this profile where none is named")
    .argument("<name>")
    .action((name: string) => {
      const file = readProfiles();
      mustHave(file.profiles, name);
      writeProfiles({ ...file, current: name });
    });

  program
    .command("list")
    .description("the profiles, without their tokens")
    .option("--json", "print JSON on one line")
    .action(({ json }: { json?: boolean }) => {
      const { current = DEFAULT_PROFILE, profiles } = readProfiles();
      const list = Object.entries(profiles).map(([name, each]) => ({
        name,
        current: name === current,
        server: each.server,
        token: each.token === undefined ? shownFile(each["token-file"]) : "saved",
        ca: each.ca ?? null,
      }));
      if (json === true) return void process.stdout.write(`${JSON.stringify({ profiles: list })}\n`);
      if (list.length === 0) return void process.stdout.write("no profiles\n");
      const rows = list.map((each) => [
        each.current ? `${each.name} *` : each.name,
        each.server,
        each.token ?? "-",
        each.ca ?? "-",
      ]);
      process.stdout.write(formatTable(["PROFILE", "SERVER", "TOKEN", "CA"], rows));
    });

  program
    .command("remove")
    .description("forget a profile")
    .argument("<name>")
    .action((name: string) => {
      const { current, profiles } = readProfiles();
      mustHave(profiles, name);
      const { [name]: _removed, ...others } = profiles;
      writeProfiles({ ...(current !== name && { current }), profiles: others });
    });
});

function mustHave(profiles: Readonly<Record<string, Profile>>, name: string): void {
  if (profiles[name] !== undefined) return;
  const names = Object.keys(profiles);
  throw new UsageError(
    `no profile ${JSON.stringify(name)}`,
    names.length === 0 ? "save one with `turnabout profile set`" : `use one of ${names.join(", ")}`,
  );
}

/** A token that somebody has put there is not shown. */
function shownFile(file: string | undefined): string | null {
  return file === undefined ? null : (inPlaceOfFile(file) ?? file);
}
