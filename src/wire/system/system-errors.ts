/** Errors of the operating system in an operator's words: what has happened, and what to do about it. One table for all. */
import { errorCodeOf } from "../errors.ts";

/** What the error is about: a file that is read, a directory that is written to, or an address that is listened on. */
export type SystemSubject = "file" | "directory" | "address";

interface SystemErrorRow {
  what: string;
  /** For a subject that has no hint of its own. */
  hint: string;
  hints?: Readonly<Partial<Record<SystemSubject, string>>>;
}

const NO_PERMISSION: SystemErrorRow = {
  what: "no permission",
  hint: "a port below 1024 needs privileges, a path needs permission for it and for its directory",
  hints: {
    file: "give the user of this process permission to read the file and to enter its directories",
    directory: "give the directory to the user of this process, or run as the directory's owner",
    address:
      "a port below 1024 needs CAP_NET_BIND_SERVICE or a larger port; a socket's directory has to be writable",
  },
};

const NO_ROOM: SystemErrorRow = {
  what: "no space left",
  hint: "free some space (or inodes, or quota) on that file system, or choose another path",
};

const TOO_MANY_FILES: SystemErrorRow = { what: "too many open files", hint: "raise `ulimit -n`" };

const UNKNOWN_HOST = "the host name does not resolve: check";

const TABLE: Readonly<Record<string, SystemErrorRow>> = {
  EACCES: NO_PERMISSION,
  EPERM: NO_PERMISSION,
  ENOENT: {
    what: "no such file or directory",
    hint: "the file or its directory does not exist: check the path, or create the directory",
    hints: { file: "check the path: there is no such file" },
  },
  ENOTDIR: { what: "a part of the path is not a directory", hint: "check the path" },
  EEXIST: {
    what: "something else is there already",
    hint: "choose another path",
    hints: { directory: "a file is at this path: give a directory, or remove the file" },
  },
  EISDIR: { what: "a directory", hint: "this is a directory: give a file" },
  ELOOP: { what: "too many symbolic links", hint: "check where the symbolic links of the path lead" },
  ENAMETOOLONG: { what: "the path is too long", hint: "choose a shorter path" },
  ENOSPC: NO_ROOM,
  EDQUOT: NO_ROOM,
  EROFS: {
    what: "the file system is read-only",
    hint: "mount the file system for writing, or choose another path",
  },
  EIO: { what: "input or output fails", hint: "check the disk: the kernel's log has more about it" },
  EMFILE: TOO_MANY_FILES,
  ENFILE: TOO_MANY_FILES,
  EADDRINUSE: {
    what: "in use",
    hint: "another process listens on it: choose another port, or 0 for a free one",
  },
  EADDRNOTAVAIL: {
    what: "not an address of this machine",
    hint: "this machine does not have the address: check it, or listen on 0.0.0.0",
  },
  EAFNOSUPPORT: {
    what: "the address family is not supported",
    hint: "this machine does not support the address family: check the address",
  },
  EINVAL: { what: "not valid", hint: "the system rejects this address or path: check it" },
  ENOTFOUND: { what: "unknown host", hint: `${UNKNOWN_HOST} it, or give an address` },
  EAI_AGAIN: { what: "no name server responds", hint: `${UNKNOWN_HOST} the DNS, or give an address` },
};

/** Undefined for an error that is not the system's. */
export function systemErrorText(error: unknown): string | undefined {
  return rowOf(error)?.what;
}

/** What to do; undefined for an error that is not the system's. */
export function systemErrorHint(error: unknown, subject?: SystemSubject): string | undefined {
  const row = rowOf(error);
  return (subject === undefined ? undefined : row?.hints?.[subject]) ?? row?.hint;
}

function rowOf(error: unknown): SystemErrorRow | undefined {
  const code = errorCodeOf(error);
  return code !== undefined && Object.hasOwn(TABLE, code) ? TABLE[code] : undefined;
}
