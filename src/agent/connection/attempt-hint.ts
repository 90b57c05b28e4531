/** What an operator can do about an attempt that has failed: for the agent's log, beside the reason. */
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";

const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  unauthenticated:
    "the control plane does not know this token: it is the first line that `turnabout token` prints, and its entry belongs in the control plane's token file",
  not_allowed:
    "the token is not for this runner: its entry in the control plane's token file needs kind runner, and a pattern in runners that matches the id",
  tls_required:
    "use https:// in --server, and issue a new token: this one has crossed the network in plaintext",
  not_found: "check the path in --server, and --base-path at the control plane",
  upgrade_required:
    "something between agent and control plane removes Upgrade: docs/deployment.md lists what a proxy has to pass",
  carrier_failed:
    "check that --server is the control plane's URL; a proxy in front of it has to pass upgrades or WebSockets (docs/deployment.md)",
};

/** By errno, of the connection's own steps. */
const CONNECT_HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there: check host and port of --server, and that the control plane runs",
  ETIMEDOUT: "nothing responds there: check the host of --server, and firewalls",
  ECONNRESET: "the other end closes the connection: check host and port of --server",
};

/** Undefined where the reason says all that is known. */
export function attemptHint(error: Error): string | undefined {
  if (!(error instanceof TurnaboutError)) return undefined;
  if (error.hint !== undefined) return error.hint;
  if (error.code !== "server_unreachable") return HINTS[error.code];
  const errno = errorCodeOf(error.cause);
  if (errno !== undefined && Object.hasOwn(CONNECT_HINTS, errno)) return CONNECT_HINTS[errno];
  return systemErrorHint(error.cause);
}
