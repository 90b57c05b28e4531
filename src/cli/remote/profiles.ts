/**
 * Profiles: control planes and credentials that need not be repeated on each command line, in the user's configuration
 * folder. The file may hold tokens, so it is for its owner alone.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { parse, stringify } from "yaml";
import { z } from "zod";
import { errorCodeOf, toError } from "../../wire/errors.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";
import { UsageError } from "../command.ts";
import { MAX_PROFILE_FILE_BYTES } from "./limits.ts";

export interface Profile {
  server: string;
  token?: string | undefined;
  "token-file"?: string | undefined;
  ca?: string | undefined;
}

export interface ProfileFile {
  /** The profile that is used where none is named. */
  current?: string | undefined;
  profiles: Record<string, Profile>;
}

const profileSchema: z.ZodType<Profile> = z.strictObject({
  server: z.string().min(1),
  token: z.string().min(1).optional(),
  "token-file": z.string().min(1).optional(),
  ca: z.string().min(1).optional(),
});
const fileSchema: z.ZodType<ProfileFile> = z.strictObject({
  current: z.string().optional(),
  profiles: z.record(z.string(), profileSchema).default({}),
});

export const DEFAULT_PROFILE: string = "default";

/** `$XDG_CONFIG_HOME/turnabout/profiles.yaml`, by default in `~/.config`. */
export function profilePath(): string {
  const { XDG_CONFIG_HOME: configured } = process.env;
  const folder =
    configured !== undefined && path.isAbsolute(configured) ? configured : path.join(homedir(), ".config");
  return path.join(folder, "turnabout", "profiles.yaml");
}

/** Without a file: no profiles. @throws UsageError for a file that cannot be read or is not one of profiles */
export function readProfiles(file: string = profilePath()): ProfileFile {
  let text: string;
  try {
    if (statSync(file).size > MAX_PROFILE_FILE_BYTES)
      throw new Error(`larger than ${MAX_PROFILE_FILE_BYTES} bytes`);
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return { profiles: {} };
    const hint = systemErrorHint(error, "file") ?? `remove the file, and run \`turnabout profile set\` again`;
    throw new UsageError(`profiles ${file}: ${toError(error).message}`, hint);
  }
  try {
    return fileSchema.parse(parse(text) ?? {});
  } catch (error) {
    // The message of a YAML error shows the line, which may hold a token.
    const where = error instanceof z.ZodError ? (error.issues[0]?.path.join(".") ?? "") : lineOf(error);
    throw new UsageError(
      `profiles ${file}: not a file of profiles (${where})`,
      "each profile has `server`, and `token` or `token-file`, and may have `ca`",
    );
  }
}

function lineOf(error: unknown): string {
  const positions = (error as { linePos?: { line: number }[] }).linePos;
  return `line ${positions?.[0]?.line ?? 1}`;
}

/** Written beside and renamed: a failed write leaves the old file. */
export function writeProfiles(content: ProfileFile, file: string = profilePath()): void {
  const beside = `${file}.${process.pid}`;
  try {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(beside, stringify(content), { mode: 0o600, flag: "wx" });
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

/** Whether users other than the owner may read the file. False where it does not exist. */
export function isReadableByOthers(file: string): boolean {
  try {
    return (statSync(file).mode & 0o077) !== 0;
  } catch {
    return false;
  }
}
