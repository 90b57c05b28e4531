/** Values of SQLite rows: types are checked, not asserted. */
import type { SQLOutputValue } from "node:sqlite";
import type { z } from "zod";
import { toError, TurnaboutError } from "../../wire/errors.ts";

export type Row = Record<string, SQLOutputValue>;

/**
 * Rows of a table, at the start. One that is not valid is not left out: it may be a revocation.
 *
 * @throws TurnaboutError `config_invalid` that names it
 */
export function readRows<T>(table: string, rows: readonly Row[], fromRow: (row: Row) => T): T[] {
  return rows.map((row) => {
    try {
      return fromRow(row);
    } catch (cause) {
      const id = JSON.stringify(row["id"] ?? "");
      throw new TurnaboutError(
        "config_invalid",
        `data directory: table ${table}, row ${id}: ${toError(cause).message}`,
        { cause, hint: "restore a backup, or correct the row with sqlite3" },
      );
    }
  });
}

export function text(row: Row, name: string): string {
  const value = row[name];
  if (typeof value !== "string") throw new TypeError(`column ${name}: not text`);
  return value;
}

export function optionalText(row: Row, name: string): string | undefined {
  return row[name] === null ? undefined : text(row, name);
}

export function integer(row: Row, name: string): number {
  const value = row[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) {
    throw new TypeError(`column ${name}: not an integer`);
  }
  return value;
}

export function optionalInteger(row: Row, name: string): number | undefined {
  return row[name] === null ? undefined : integer(row, name);
}

/** A JSON column, checked by its schema. @throws ZodError */
export function json<T>(row: Row, name: string, schema: z.ZodType<T>): T {
  return schema.parse(JSON.parse(text(row, name)));
}

/** A text column, checked by its schema. @throws ZodError */
export function choice<T>(row: Row, name: string, schema: z.ZodType<T>): T {
  return schema.parse(text(row, name));
}
