import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { ERROR_TABLE } from "./error-table.ts";
import type { ErrorCode } from "./error-table.ts";
import { formatProxyStatus, parseProxyStatus } from "./proxy-status.ts";

const CODES = Object.keys(ERROR_TABLE) as ErrorCode[];

describe("Proxy-Status", () => {
  it("gives back every code that it was made of", () => {
    for (const code of CODES) assert.equal(parseProxyStatus(formatProxyStatus(code)), code);
  });

  it("is that of the hop nearest to us when there are several", () => {
    const far = formatProxyStatus("target_refused");
    const near = formatProxyStatus("agent_draining");
    assert.equal(parseProxyStatus(`${far}, ${near}`), "agent_draining");
    assert.equal(parseProxyStatus([far, near]), "agent_draining");
  });

  it("is undefined for a stranger's field, an unknown code and random text", () => {
    assert.equal(parseProxyStatus(undefined), undefined);
    assert.equal(parseProxyStatus("ExampleCDN; error=connection_timeout"), undefined);
    assert.equal(parseProxyStatus('turnabout; details="no_such_code"'), undefined);
    assert.equal(parseProxyStatus('turnabout; details="constructor"'), undefined);
    assert.equal(parseProxyStatus(`${formatProxyStatus("internal")}${" ".repeat(5_000)}`), undefined);
    fc.assert(
      fc.property(fc.string(), (text) => {
        const code = parseProxyStatus(text);
        assert.ok(code === undefined || CODES.includes(code));
      }),
    );
  });
});
