/** Prepares the path of a Unix socket: replaces the socket file of a process that was killed, and nothing else. */
import { once } from "node:events";
import type { Stats } from "node:fs";
import { lstat, unlink } from "node:fs/promises";
import net from "node:net";
import { dirname } from "node:path";
import { errorCodeOf, toError, TurnaboutError } from "../../wire/errors.ts";
import { systemErrorHint } from "../../wire/system/system-errors.ts";

/**
 * Removes a stale socket file from the path.
 *
 * @throws TurnaboutError `config_invalid` if the path must not be replaced: a socket that another process listens on, a file,
 * or a symbolic link (its creator could choose what is removed); and for a directory that is missing, where `listen()` fails with
 * EACCES
 */
export async function freeSocketPath(path: string): Promise<void> {
  const found = await look(path, path);
  if (found === undefined) {
    const directory = dirname(path);
    if ((await look(directory, path)) !== undefined) return;
    throw unusable(path, `no directory ${directory}`, "create it, or choose another path");
  }
  if (!found.isSocket()) {
    const kind = found.isSymbolicLink() ? "symbolic link" : found.isDirectory() ? "directory" : "file";
    throw unusable(path, `a ${kind} is there already, not a socket`, "remove it, or choose another path");
  }
  if (await isAlive(path)) {
    throw unusable(path, "another process listens there", "stop that process, or choose another path");
  }
  await unlink(path);
}

/** Undefined if nothing is there. */
async function look(at: string, path: string): Promise<Stats | undefined> {
  try {
    return await lstat(at);
  } catch (error) {
    if (errorCodeOf(error) === "ENOENT") return undefined;
    throw unusable(path, toError(error).message, systemErrorHint(error, "address"));
  }
}

/** Without a process behind it a socket file refuses connections. Any other outcome may mean that a process listens. */
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

/** `listen()` creates the socket file with the mode, so that it never has another one. */
export function listenWithMode(server: net.Server, path: string, mode: number, backlog: number): void {
  const before = process.umask(0o777 & ~mode);
  try {
    server.listen({ path, backlog });
  } finally {
    process.umask(before);
  }
}

function unusable(path: string, what: string, hint: string | undefined): TurnaboutError {
  const options = hint === undefined ? {} : { hint };
  return new TurnaboutError("config_invalid", `listen unix:${path}: ${what}`, options);
}
