/** The files that `turnabout token` writes: the token for its holder, and the entry in the control plane's token file. */
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { parseTokenFile } from "../../control/reload/token-file.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { UsageError } from "../command.ts";

const OWNER_ONLY = 0o600;

/** @throws UsageError if there is a file already: its token would be lost */
export function writeToken(file: string, secret: string): void {
  if (existsSync(file))
    throw new UsageError(`--out ${file}: exists`, "give another file, or remove this one");
  writeFileSync(file, `${secret}\n`, { mode: OWNER_ONLY, flag: "wx" });
}

/**
 * Prepares the addition of an entry, or of a file. It is replaced as a whole: a control plane that follows it never reads a
 * half. Its permissions stay.
 *
 * @returns writes the file
 *
 * @throws UsageError if it is no token file, or has an entry with this id
 */
export function entryWriter(file: string, entry: { id: string }): () => void {
  const isNew = !existsSync(file);
  const text = isNew ? '{ "tokens": [] }' : readFileSync(file, "utf8");
  const records = check(file, text);
  if (records.some(({ id }) => id === entry.id)) {
    throw new UsageError(
      `--add ${file}: has an entry ${JSON.stringify(entry.id)}`,
      "give another --id, or remove it",
    );
  }
  const content = JSON.parse(text) as { tokens: unknown[] };
  const lines = [...content.tokens, entry].map((each) => `    ${JSON.stringify(each)}`);
  const others = Object.entries(content).filter(([name]) => name !== "tokens");
  const members = others.map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},\n`);
  const mode = isNew ? OWNER_ONLY : statSync(file).mode & 0o777;
  const whole = `{\n${members.join("")}  "tokens": [\n${lines.join(",\n")}\n  ]\n}\n`;
  return () => replaceFile(file, whole, mode);
}

function replaceFile(file: string, text: string, mode: number): void {
  const beside = `${file}.${process.pid}`;
  try {
    writeFileSync(beside, text, { mode, flag: "wx" });
    renameSync(beside, file);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
}

function check(file: string, text: string): { id: string }[] {
  try {
    return parseTokenFile(text);
  } catch (error) {
    if (!(error instanceof TurnaboutError)) throw error;
    throw new UsageError(
      `--add ${file}: ${error.message}`,
      "give the token file of the control plane, or a new file",
    );
  }
}
