/** A transaction: whole or not at all. */
import type { DatabaseSync } from "node:sqlite";

/** @throws an error of SQLite; what `work` throws */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  try {
    database.exec("BEGIN IMMEDIATE");
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    try {
      if (database.isTransaction) database.exec("ROLLBACK");
    } catch {
      // The first error says why.
    }
    throw error;
  }
}
