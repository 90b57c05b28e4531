/** What a process gets from the one that started it: an environment, perhaps a listening socket, perhaps a channel. */
import { UsageError } from "../command.ts";

/** Says who has started the process and talks to it over its IPC channel. */
export const STARTED_BY = "TURNABOUT_STARTED_BY";

/** The first descriptor behind the standard streams: systemd's, and ours. */
export const LISTEN_FD = 3;

const SOCKET_VARIABLES = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] as const;

export type StartedBy = "upgrade" | "supervisor";

export interface Inheritance {
  /** Variables for a successor: those of the start, secrets included. Never logged. */
  readonly environment: Readonly<NodeJS.ProcessEnv>;
  /** A socket that is bound, and that others may hold as well. */
  readonly listenFd: number | undefined;
  readonly startedBy: StartedBy | undefined;
  /** Why a socket that seems to be given is not used. */
  readonly ignored: string | undefined;
}

/**
 * Reads the variables of systemd's socket activation (sd_listen_fds(3)) and our own, and removes them, so that no child
 * takes them for its own. Call it before anything else is removed from the environment.
 *
 * @throws UsageError for more than one socket, or for variables that cannot be what they say
 */
export function takeInheritance(
  env: NodeJS.ProcessEnv = process.env,
  pid: number = process.pid,
  hasChannel: boolean = process.send !== undefined,
): Inheritance {
  const { LISTEN_PID: listenPid, LISTEN_FDS: count, [STARTED_BY]: starter } = env;
  for (const name of [...SOCKET_VARIABLES, STARTED_BY]) delete env[name];
  const environment = { ...env };
  if (starter !== undefined) {
    if ((starter !== "upgrade" && starter !== "supervisor") || !hasChannel)
      throw new UsageError(
        `${STARTED_BY}=${starter}: set by something else than turnabout`,
        "remove this variable from the environment",
      );
    return { environment, listenFd: LISTEN_FD, startedBy: starter, ignored: undefined };
  }
  const alone = { environment, listenFd: undefined, startedBy: undefined, ignored: undefined };
  if (count === undefined || count === "0") return alone;
  if (listenPid !== String(pid)) {
    const ignored = `LISTEN_PID=${listenPid ?? ""} is not this process (${pid}): something between the service manager and turnabout has started it`;
    return { ...alone, ignored };
  }
  if (count !== "1")
    throw new UsageError(
      `LISTEN_FDS=${count}: turnabout takes one socket`,
      "leave one ListenStream= in the socket unit; one port serves all protocols",
    );
  return { ...alone, listenFd: LISTEN_FD };
}
