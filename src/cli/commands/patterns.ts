/** Patterns of a credential that is created: `--runner` and `--target`. */
import { canMatchRunner, canMatchTarget } from "../../control/auth/identity.ts";
import { UsageError } from "../command.ts";

/** @throws UsageError for a pattern that no runner or no target can have */
export function requirePatterns(runners: readonly string[], targets: readonly string[] = []): void {
  check("--runner", runners, canMatchRunner);
  check("--target", targets, canMatchTarget);
}

function check(option: string, patterns: readonly string[], canMatch: (pattern: string) => boolean): void {
  const wrong = patterns.find((pattern) => !canMatch(pattern));
  if (wrong === undefined) return;
  throw new UsageError(
    `${option} ${wrong}: matches nothing`,
    "names have a-z, 0-9, _ and -; * matches any of them: put it in quotes, or the shell replaces it by names of files",
  );
}
