/** The files of a data directory. */

export const FILE_NAME = "turnabout.db";

/** What SQLite keeps beside a database in WAL mode. */
export const FILES_BESIDE: readonly string[] = ["-wal", "-shm"];

/** Of the lock: a database without anything in it. */
export const LOCK_FILE = "lock";
