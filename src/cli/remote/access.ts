/**
 * Which control plane a command calls, and as whom: flags come before the environment, and the environment before a
 * profile. A profile's token goes to the profile's server only.
 */
import { readFileSync, statSync } from "node:fs";
import { Option } from "commander";
import type { Command } from "commander";
import { tokenProblem } from "../../agent/transport/credentials.ts";
import { toError } from "../../wire/errors.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";
import { splitZone } from "../../wire/fields/url-zone.ts";
import { UsageError } from "../command.ts";
import { requireFileName } from "../options.ts";
import { MAX_CREDENTIAL_BYTES } from "./limits.ts";
import { DEFAULT_PROFILE, isReadableByOthers, profilePath, readProfiles } from "./profiles.ts";
import type { Profile } from "./profiles.ts";

export interface AccessOptions {
  server?: string;
  tokenFile?: string;
  ca?: string;
  profile?: string;
}

/** Where and as whom. */
export interface RemoteAccess {
  server: string;
  token: string;
  /** PEM of a private CA. */
  ca?: string | undefined;
}

export function withAccessOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--server <url>", "control plane: http(s)://HOST[:PORT][/BASE]").env("TURNABOUT_SERVER"),
    )
    .option("--token-file <file>", "file with the token; or set TURNABOUT_TOKEN")
    .option("--ca <file>", "CA of the control plane's certificate, instead of the system's")
    .addOption(
      new Option("--profile <name>", "saved server and token, see `turnabout profile`").env(
        "TURNABOUT_PROFILE",
      ),
    );
}

/** @throws UsageError if there is no server or no token, or a file cannot be read */
export function resolveAccess(options: AccessOptions): RemoteAccess {
  const profile = chosenProfile(options);
  // An empty variable is as good as none.
  const server = options.server === "" ? profile?.server : (options.server ?? profile?.server);
  if (server === undefined) {
    throw new UsageError(
      "no control plane given",
      "give --server URL, set TURNABOUT_SERVER, or save it: `turnabout profile set default --server URL --token-file FILE`",
    );
  }
  checkServer(server);
  const isProfiles = profile !== undefined && sameServer(profile.server, server);
  const token = findToken(options, isProfiles ? profile : undefined);
  if (token === undefined) {
    throw new UsageError("no token given", `give --token-file FILE or set TURNABOUT_TOKEN, for ${server}`);
  }
  const ca = options.ca ?? (isProfiles ? profile.ca : undefined);
  return { server, token, ca: ca === undefined ? undefined : readSmallFile(ca, "CA") };
}

/** Of a profile, for a command that may do without. The token is not read: its file may be what is wrong. */
export function profileFor({
  profile: name,
  server,
}: {
  profile?: string | undefined;
  server?: string | undefined;
}):
  | { server: string; token: { file: string } | { value: string } | undefined; ca: string | undefined }
  | undefined {
  const profile = chosenProfile(name === undefined ? {} : { profile: name });
  if (profile === undefined || (server !== undefined && !sameServer(profile.server, server)))
    return undefined;
  const { "token-file": file, token } = profile;
  const secret = token === undefined ? (file === undefined ? undefined : { file }) : { value: token };
  return { server: profile.server, token: secret, ca: profile.ca };
}

function chosenProfile({ profile: name }: AccessOptions): Profile | undefined {
  const { current, profiles } = readProfiles();
  if (name === undefined) return profiles[current ?? DEFAULT_PROFILE];
  const chosen = profiles[name];
  if (chosen !== undefined) return chosen;
  const names = Object.keys(profiles);
  throw new UsageError(
    `no profile ${JSON.stringify(name)} in ${profilePath()}`,
    names.length === 0 ? "save one with `turnabout profile set`" : `use one of ${names.join(", ")}`,
  );
}

function sameServer(a: string, b: string): boolean {
  return a.replace(/\/+$/, "") === b.replace(/\/+$/, "");
}

function checkServer(server: string): void {
  const { text } = splitZone(server);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") {
    if (url.username === "" && url.password === "") return;
    throw new UsageError(
      "--server: a URL with a login",
      "give the token with --token-file or TURNABOUT_TOKEN",
    );
  }
  throw new UsageError(
    `--server ${server}: not the URL of a control plane`,
    "use https://HOST[:PORT][/BASE]",
  );
}

/** In the order of their precedence. */
function findToken({ tokenFile }: AccessOptions, profile: Profile | undefined): string | undefined {
  const fromEnvironment = process.env["TURNABOUT_TOKEN"];
  delete process.env["TURNABOUT_TOKEN"]; // not for the programs that a command starts
  if (tokenFile !== undefined) return readToken(tokenFile);
  if (fromEnvironment !== undefined && fromEnvironment !== "")
    return checkToken(fromEnvironment, "TURNABOUT_TOKEN");
  if (profile?.token !== undefined) {
    warnIfOpen(profilePath());
    return checkToken(profile.token, profilePath());
  }
  return profile?.["token-file"] === undefined ? undefined : readToken(profile["token-file"]);
}

/** @param file `-` is standard input */
export function readToken(file: string): string {
  if (file === "-") return checkToken(readFileSync(0, "utf8"), "standard input");
  const token = checkToken(readSmallFile(file, "token"), file);
  warnIfOpen(file);
  return token;
}

/** Its own text is in no message. */
function checkToken(text: string, from: string): string {
  const token = text.trim();
  const problem = tokenProblem(token);
  if (problem === undefined) return token;
  throw new UsageError(
    `token ${from}: ${problem}`,
    problem === "empty"
      ? "give a file with the token and nothing else"
      : "give a file with the token and nothing else: of what `turnabout token` prints, that is the first line",
  );
}

function readSmallFile(file: string, what: string): string {
  requireFileName(file, `${what} file`);
  try {
    if (statSync(file).size > MAX_CREDENTIAL_BYTES)
      throw new Error(`larger than ${MAX_CREDENTIAL_BYTES} bytes`);
    return readFileSync(file, "utf8");
  } catch (error) {
    const hint = systemErrorHint(error, "file") ?? `give a file with the ${what} and nothing else`;
    throw new UsageError(`${what} file ${file}: ${toError(error).message}`, hint);
  }
}

function warnIfOpen(file: string): void {
  if (!isReadableByOthers(file)) return;
  process.stderr.write(`warning: ${file} can be read by other users: chmod 600 it\n`);
}
