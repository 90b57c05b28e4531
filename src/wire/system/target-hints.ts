/** What to do about a target that an agent cannot connect to, in the same words for its check and for the logs of both ends. */

const UNIX: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket: start the service, or correct the path in --target",
  EACCES:
    "the agent's user may not open the socket: add it to the socket's group, or change the socket's mode",
  EPERM:
    "the agent's user may not open the socket: add it to the socket's group, or change the socket's mode",
  ECONNREFUSED: "the socket is left over and nothing listens on it: start the service",
  ENOTSOCK: "the path is no socket: correct it in --target",
};
const NO_ROUTE = "there is no route to it: check the network of the agent's machine";
const TCP: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    "nothing listens there: start the service, or correct the address in --target; in a container, localhost is the container itself",
  ENOTFOUND:
    "the name does not resolve at the agent: correct it in --target, or check the DNS of the agent's machine",
  EAI_AGAIN: "no name server responds: check the DNS of the agent's machine",
  EHOSTUNREACH: NO_ROUTE,
  ENETUNREACH: NO_ROUTE,
};
const SILENT = "nothing responds: check host and port in --target, and the firewalls on the way";

/**
 * Undefined where the error says nothing that helps.
 * @param kind of the target's address; undefined at the control plane, which does not know it
 */
export function targetHint(
  code: string | undefined,
  errno: string | undefined,
  kind?: "unix" | "tcp",
): string | undefined {
  const table = kind === "unix" ? UNIX : kind === "tcp" ? TCP : { ...UNIX, ...TCP };
  if (errno !== undefined && Object.hasOwn(table, errno)) return table[errno];
  return code === "target_timeout" && kind !== "unix" ? SILENT : undefined;
}

const NO_PERMISSION = "The agent has no permission for the target's socket.";
const TEXTS: Readonly<Record<string, string>> = {
  ENOENT: "The target's socket does not exist.",
  ENOTSOCK: "The target's path is no socket.",
  EACCES: NO_PERMISSION,
  EPERM: NO_PERMISSION,
};

/** Where nothing has refused a connection, although the error's code says so. */
export function targetErrnoText(errno: string | undefined): string | undefined {
  return errno !== undefined && Object.hasOwn(TEXTS, errno) ? TEXTS[errno] : undefined;
}
