/** Taking a path for a Unix socket: what a killed process left there is replaced, anything else is not touched. */
import { once } from "node:events";
import { lstat, unlink } from "node:fs/promises";
import net from "node:net";
import { errorCodeOf, TurnaboutError } from "../../wire/errors.ts";

/**
 * Makes the path free to listen on.
 *
 * @throws TurnaboutError `config_invalid` if something is there that nobody may replace: another process's living socket, a
 * file, a link (whoever placed it could choose what we remove)
 */
export async function freeSocketPath(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (errorCodeOf(error) === "ENOENT") return undefined;
    throw taken(path, (error as Error).message);
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw taken(
      path,
      `there is a ${found.isSymbolicLink() ? "symbolic link" : "file"} already, not a socket`,
    );
  }
  if (await isAlive(path)) throw taken(path, "another process listens there");
  await unlink(path);
}

/** A socket file without a process behind it refuses; whatever else happens, somebody may be there. */
async function isAlive(path: string): Promise<boolean> {
  const probe = net.connect({ path });
  try {
    await once(probe, "connect");
    return true;
  } catch (error) {
    return errorCodeOf(error) !== "ECONNREFUSED";
  } finally {
    probe.destroy();
  }
}

/** Listens with the mode from the first moment on: the socket is made inside `listen()`. */
export function listenWithMode(server: net.Server, path: string, mode: number, backlog: number): void {
  const before = process.umask(0o777 & ~mode);
  try {
    server.listen({ path, backlog });
  } finally {
    process.umask(before);
  }
}

function taken(path: string, what: string): TurnaboutError {
  return new TurnaboutError("config_invalid", `listen unix:${path}: ${what}`);
}
