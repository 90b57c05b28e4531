/** A statement that survives its database: it is prepared anew where the database was opened anew. */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Row } from "./rows.ts";

export class Statement {
  readonly #database: () => DatabaseSync;
  readonly #sql: string;
  #prepared: { database: DatabaseSync; statement: StatementSync } | undefined;

  /** @param database the one that is open now; throws if there is none */
  constructor(database: () => DatabaseSync, sql: string) {
    this.#database = database;
    this.#sql = sql;
  }

  /** @returns how many rows have changed */
  run(...values: SQLInputValue[]): number {
    values.forEach(checkInteger);
    return Number(this.#current().run(...values).changes);
  }

  /** At the start only. @throws TurnaboutError `config_invalid` if the database or a number in it cannot be read */
  all(...values: SQLInputValue[]): Row[] {
    try {
      return this.#current().all(...values);
    } catch (cause) {
      throw new TurnaboutError(
        "config_invalid",
        `data directory: cannot be read: ${toError(cause).message}`,
        {
          cause,
          hint: "restore a backup, or correct the database with sqlite3",
        },
      );
    }
  }

  #current(): StatementSync {
    const database = this.#database();
    if (this.#prepared?.database !== database) {
      this.#prepared = { database, statement: database.prepare(this.#sql) };
    }
    return this.#prepared.statement;
  }
}

/** All our numbers are integers. A larger one would be refused when the row is read: at the next start. */
function checkInteger(value: SQLInputValue): void {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return;
  throw new RangeError(`store: ${value} is not a safe integer`);
}
