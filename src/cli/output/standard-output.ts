/** Standard output that cannot be written: a full disk is an error, and a reader who has gone ends the command. */
import { errorCodeOf, toError } from "../../wire/errors.ts";
import { EXIT_STATUS } from "../command.ts";

const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full: free some space, or write elsewhere",
  EDQUOT: "your quota is used up: free some space, or write elsewhere",
  EIO: "the terminal or the disk is gone: write elsewhere",
};

/**
 * For a command whose result is what it prints. Nobody would notice that a part of it is missing, and one without end would go on
 * for no one.
 */
export function endWithStandardOutput(): void {
  ignoreStandardError();
  process.stdout.on("error", (error: unknown) => {
    const code = errorCodeOf(error) ?? "";
    if (code === "EPIPE") process.exit(EXIT_STATUS.outputClosed);
    const hint = Object.hasOwn(HINTS, code) ? HINTS[code] : "write elsewhere";
    process.stderr.write(`error: standard output: ${toError(error).message}\nhint: ${hint}\n`);
    process.exit(EXIT_STATUS.failed);
  });
}

/** For a service: the reader of its output may exit long before it does. */
export function surviveStandardOutput(): void {
  ignoreStandardError();
  process.stdout.on("error", () => {});
}

/** There is no place left to report it. */
function ignoreStandardError(): void {
  process.stderr.on("error", () => {});
}
