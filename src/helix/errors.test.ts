import assert from "node:assert/strict";
import { it } from "node:test";
import { describeErrorTable } from "../../test/support/error-tables.ts";
import { isErrorCode } from "../wire/error-table.ts";
import { HELIX_ERROR_TABLE, HelixError } from "./errors.ts";

describeErrorTable(HELIX_ERROR_TABLE, (code, options) => new HelixError(code, "test", options));

it("shares no code with the tunnel", () => {
  for (const code of Object.keys(HELIX_ERROR_TABLE)) assert.equal(isErrorCode(code), false, code);
});
