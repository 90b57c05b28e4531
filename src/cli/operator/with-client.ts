/** One call of the control plane's API for a command. */
import { Option } from "commander";
import type { Command } from "commander";
import { ApiClient } from "../../clients/api/api-client.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { resolveAccess, withAccessOptions } from "../remote/access.ts";
import type { AccessOptions, RemoteAccess } from "../remote/access.ts";

export interface ListingOptions extends AccessOptions {
  json?: boolean;
}

/** Options of a command that prints what the API returns. */
export function withListingOptions(command: Command): Command {
  return withAccessOptions(command).addOption(
    new Option("--json", "print JSON, as the API returns it, on one line"),
  );
}

export async function withClient<T>(
  options: AccessOptions,
  use: (client: ApiClient) => Promise<T>,
): Promise<T> {
  await using client = openClient(resolveAccess(options));
  return await use(client);
}

/** Says once on standard error that it waits for a control plane that does not respond. */
export function openClient(access: RemoteAccess): ApiClient {
  let isNoted = false;
  const onSilent = (): void => {
    if (isNoted) return;
    isNoted = true;
    const host = URL.parse(access.server)?.host ?? "the control plane";
    process.stderr.write(`${host} has not responded yet; waiting\n`);
  };
  return new ApiClient({ ...access, onSilent });
}

/**
 * For a resource that the operator has named: the API's 404 speaks of paths.
 *
 * @throws TurnaboutError in place of a 404, with its code
 */
export async function named<T>(call: Promise<T>, { what, hint }: { what: string; hint: string }): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof TurnaboutError && MISSING.has(error.code))
      throw new TurnaboutError(error.code, `no ${what}`, { cause: error, hint });
    throw error;
  }
}

const MISSING: ReadonlySet<ErrorCode> = new Set(["not_found", "runner_unknown"]);

/** Prints the value as JSON, or as `format` makes a text of it. */
export function print<T>(value: T, { json }: ListingOptions, format: (value: T) => string): void {
  process.stdout.write(json === true ? `${JSON.stringify(value)}\n` : format(value));
}
