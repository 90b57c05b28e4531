/** What to do about a connection that cannot be made. */
import { errorCodeOf, toError } from "../../../wire/errors.ts";
import { ConnectRefused } from "../../transport/connect-refused.ts";
import type { ProxyAddress } from "../../transport/proxy-from-env.ts";
import { isTimeout } from "../in-time.ts";

const SILENT = "nothing responds at this address: check it, and the firewalls on the way";
const NO_ROUTE = "there is no route to this address: check this machine's network";

const CONNECT: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    "nothing listens on this port: start the control plane, or correct the port in --server; in a container, localhost is the container itself",
  EHOSTUNREACH: NO_ROUTE,
  ENETUNREACH: NO_ROUTE,
  ETIMEDOUT: SILENT,
  ENOENT: "there is no such socket: start the relay, or correct the path in --server",
  EACCES:
    "this user may not open the socket: let the relay --listen with ;mode=0666, or run as its user or group",
};

export function explainConnect(error: unknown): string {
  if (isTimeout(error)) return SILENT;
  return CONNECT[errnoOf(error) ?? ""] ?? "check the address, and the network on the way";
}

/** @param url of the control plane, to which the proxy was to connect */
export function explainProxy(error: unknown, proxy: ProxyAddress, url: URL): string {
  const { scheme } = proxy;
  const variable = url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const login = `${variable}=${scheme}://USER:PASSWORD@${proxy.label}`;
  const hasLogin = proxy.username !== "" || proxy.password !== "";
  const { cause } = toError(error);
  if (cause instanceof ConnectRefused) {
    if (cause.status === 407) {
      return hasLogin
        ? `the proxy does not accept the login: correct user and password in ${variable}`
        : `the proxy wants a login: set ${login}`;
    }
    const direct = `or connect directly with NO_PROXY=${url.hostname}`;
    return `the proxy does not connect to ${url.host}: let it allow CONNECT to that port, ${direct}`;
  }
  if (/auth/i.test(toError(error).message)) {
    return hasLogin ? `correct user and password in ${variable}` : `the proxy wants a login: set ${login}`;
  }
  if (isTimeout(error)) return `the proxy does not respond: check its address in ${variable} or ALL_PROXY`;
  return `check the proxy's scheme, address and port in ${variable} or ALL_PROXY`;
}

/** Of the system, at whatever depth the steps of an attempt have put it. */
export function errnoOf(error: unknown): string | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; cause = cause.cause, depth += 1) {
    const code = errorCodeOf(cause);
    if (code !== undefined && /^E[A-Z0-9]+$/.test(code)) return code;
  }
  return undefined;
}
