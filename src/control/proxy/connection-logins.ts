/**
 * Logins that authenticate a connection and not a request (NTLM, Negotiate: RFC 4559 §6). The next request on the target's
 * connection would be taken for one of the same user. So such a login gets a connection to the target of its own, for as
 * long as its caller's connection lasts; where that may carry several callers, for one request.
 */
import type { Socket } from "node:net";
import { formatAuthority } from "../../wire/messages/names.ts";
import type { AgentConnection } from "../registry/agent-connection.ts";
import type { ProxyJob } from "./job.ts";
import { CALLER_KEEPALIVE_MS, MAX_LOGINS_PER_CALLER } from "../limits.ts";
import type { AnyRequest } from "../listener/messages.ts";
import { createHttp1Pool } from "../http1-target/target-pools.ts";
import type { TargetPool } from "../http1-target/target-pools.ts";

interface Login {
  connection: AgentConnection;
  target: TargetPool;
}

export interface TargetConnection {
  target: TargetPool;
  /** The connection to the target is closed after this request and not reused. */
  isSingleUse: boolean;
}

/** By the caller's connection, then by target and credential. */
const LOGINS = new WeakMap<Socket, Map<string, Login>>();

/** The connections to the target on which a request may travel. */
export function targetConnection(
  request: AnyRequest,
  job: ProxyJob,
  connection: AgentConnection,
): TargetConnection {
  const { destination, identity } = job;
  const http = connection.httpOf(destination);
  const shared = (): TargetPool => connection.pools.get(destination, http);
  const isLogin = http !== "2" && bearsLogin(request, job);
  // The connection of a proxy carries requests of several callers, and one of HTTP/2 carries concurrent requests.
  if ("stream" in request || job.client.isForwarded) return { target: shared(), isSingleUse: isLogin };
  const key = `${formatAuthority(destination)} ${identity.fingerprint}`;
  const logins = LOGINS.get(request.socket);
  const known = logins?.get(key);
  if (known?.connection.usable === true) return { target: known.target, isSingleUse: false };
  if (known !== undefined) closeLogin(known);
  logins?.delete(key);
  if (!isLogin) return { target: shared(), isSingleUse: false };
  if ((logins?.size ?? 0) >= MAX_LOGINS_PER_CALLER) return { target: shared(), isSingleUse: true };
  const target = createHttp1Pool(connection, destination, http, {
    connections: 1,
    keepAliveMs: CALLER_KEEPALIVE_MS,
  });
  loginsOf(request.socket).set(key, { connection, target });
  return { target, isSingleUse: false };
}

/** `Authorization` is for the target, with a scheme whose credentials apply to later requests on the connection. */
function bearsLogin({ headers }: AnyRequest, { withheld, credentials }: ProxyJob): boolean {
  if (credentials !== undefined || withheld?.has("authorization") === true) return false;
  return /^\s*(?:NTLM|Negotiate|Nego2)\b/i.test(headers.authorization ?? "");
}

function loginsOf(caller: Socket): Map<string, Login> {
  const known = LOGINS.get(caller);
  if (known !== undefined) return known;
  const logins = new Map<string, Login>();
  LOGINS.set(caller, logins);
  caller.once("close", () => {
    for (const login of logins.values()) closeLogin(login);
    logins.clear();
  });
  return logins;
}

/** Requests in flight finish. */
function closeLogin({ target }: Login): void {
  void target.pool.close().catch(() => {});
}
