/** A refusal in the words of whoever has sent the request: the control plane's own, or that of a server in front of it. */
import type { IncomingHttpHeaders } from "node:http";
import { ERROR_TABLE } from "../../wire/error-table.ts";
import type { ErrorCode } from "../../wire/error-table.ts";
import { TurnaboutError, withoutFullStop } from "../../wire/errors.ts";
import { codeFromStatus } from "../../wire/failure-codes.ts";
import { hasOwnProxyStatus, parseProxyStatus } from "../../wire/fields/proxy-status.ts";
import { isRequestId } from "../../wire/messages/request-id.ts";

const AGENTS_ADDRESS = "the agent's log has the address and what failed, under the id of this request";

const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  unauthenticated: "this control plane does not know the token, or it has expired",
  not_allowed: "the token is not for this: use one of an admin, or one that covers the runner",
  tls_required: "use https:// in --server, and replace the token: it has crossed the network in plaintext",
  runner_unknown:
    "check its name: `turnabout status` lists the runners that this token may see; has its agent ever connected?",
  target_unknown: "`turnabout status` lists the targets of each runner",
  runner_offline: "its agent is not connected: `turnabout check` on the agent's host finds out why",
  rate_limited: "wait a few seconds before the next attempt",
  share_exceeded: "this credential has too much open: close what is not used",
  overloaded: "too much is open at this target or runner: try again later",
  agent_draining: "the agent is being stopped or restarted: try again in a few seconds",
  control_plane_draining: "the control plane is being restarted: try again in a few seconds",
  target_refused: AGENTS_ADDRESS,
  target_unreachable: AGENTS_ADDRESS,
  target_unresolved: AGENTS_ADDRESS,
  target_timeout: AGENTS_ADDRESS,
  tunnel_timeout: "the agent does not respond: its host may be overloaded or cut off",
  tunnel_lost: "the agent was disconnected: try again",
};

/** What to do about a refusal of the control plane. */
export function refusalHint(code: ErrorCode): string | undefined {
  return HINTS[code];
}

const OWN_PORT =
  "use the address of the control plane itself in --server, or let the server in front pass CONNECT";

/**
 * The refusal of a `CONNECT`.
 *
 * @param label what was dialled, for the message
 */
export function refusedConnect(status: number, headers: IncomingHttpHeaders, label: string): TurnaboutError {
  const { "proxy-status": proxyStatus, "retry-after": retryAfter = "", "x-request-id": id } = headers;
  const retry = /^\d{1,6}$/.test(retryAfter) ? { retryAfterS: Number(retryAfter) } : {};
  if (!hasOwnProxyStatus(proxyStatus)) {
    const { code, hint } = foreignRefusal(status);
    const message = `${label}: a server in front of the control plane has responded with ${status}`;
    return new TurnaboutError(code, message, { hint, ...retry });
  }
  const code = parseProxyStatus(proxyStatus) ?? codeFromStatus(status);
  const hint = refusalHint(code);
  const request = isRequestId(id) ? ` (request ${id})` : "";
  const message = `${label}: ${withoutFullStop(ERROR_TABLE[code].text)}${request}`;
  return new TurnaboutError(code, message, { ...(hint !== undefined && { hint }), ...retry });
}

/** Not the control plane's: its status says nothing about our token, runner or target. */
function foreignRefusal(status: number): { code: ErrorCode; hint: string } {
  if (status === 401 || status === 403 || status === 407)
    return {
      code: status === 403 ? "not_allowed" : "unauthenticated",
      hint: `it wants its own login: ${OWN_PORT}`,
    };
  if (status === 429)
    return { code: "rate_limited", hint: "it limits requests: wait before the next attempt" };
  if (status === 502 || status === 503 || status === 504)
    return { code: "server_unreachable", hint: "it does not reach the control plane: is that running?" };
  return { code: "carrier_failed", hint: `is there a control plane at this address? If so, ${OWN_PORT}` };
}
