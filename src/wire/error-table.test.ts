import assert from "node:assert/strict";
import { it } from "node:test";
import { describeErrorTable } from "../../test/support/error-tables.ts";
import { ERROR_TABLE, isErrorCode } from "./error-table.ts";
import { TurnaboutError } from "./errors.ts";

describeErrorTable(ERROR_TABLE, (code, options) => new TurnaboutError(code, "test", options));

it("knows the codes of the table, and no others", () => {
  for (const code of Object.keys(ERROR_TABLE)) assert.ok(isErrorCode(code), code);
  for (const text of ["", "nope", "toString", "__proto__"]) assert.equal(isErrorCode(text), false);
});
