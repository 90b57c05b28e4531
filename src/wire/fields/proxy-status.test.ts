import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { ERROR_TABLE } from "../error-table.ts";
import type { ErrorCode } from "../error-table.ts";
import { foreignProxyStatus, formatProxyStatus, parseProxyStatus } from "./proxy-status.ts";
import { startStopwatch } from "../../../test/support/stopwatch.ts";

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

  it("counts in our name only, and only there", () => {
    const own = formatProxyStatus("overloaded");
    assert.equal(parseProxyStatus('cdn; details="not_found"'), undefined);
    assert.equal(parseProxyStatus(`${own}, cdn; details="not_found"`), "overloaded");
    assert.equal(parseProxyStatus(`cdn; x="a, ${own.replaceAll('"', '\\"')}"`), undefined);
    assert.equal(foreignProxyStatus(`cdn; x="a, turnabout", ${own}`), 'cdn; x="a, turnabout"');
    assert.equal(foreignProxyStatus([own, '"turnabout-relay"; a', "\tTURNABOUT"]), undefined);
    assert.equal(foreignProxyStatus('a,, b ; c="'), 'a,, b ; c="');
  });

  it("is read in time that grows with its length alone", () => {
    const spaces = " ".repeat(48_000);
    for (const value of [
      `turnabout${spaces}x`,
      `"turnabout${spaces}`,
      `turnabout;${spaces}details`,
      '"\\'.repeat(16_000),
    ]) {
      const stopwatch = startStopwatch();
      foreignProxyStatus(value);
      parseProxyStatus(value);
      assert.ok(stopwatch.elapsedMs() < 1_000);
    }
  });

  it("is undefined for a stranger's field, an unknown code and random text", () => {
    assert.equal(parseProxyStatus(undefined), undefined);
    assert.equal(parseProxyStatus("ExampleCDN; error=connection_timeout"), undefined);
    assert.equal(parseProxyStatus('turnabout; details="no_such_code"'), undefined);
    assert.equal(parseProxyStatus('turnabout; details="constructor"'), undefined);
    assert.equal(parseProxyStatus(`${formatProxyStatus("internal")}; x="${" ".repeat(5_000)}"`), undefined);
    fc.assert(
      fc.property(fc.string(), (text) => {
        const code = parseProxyStatus(text);
        assert.ok(code === undefined || CODES.includes(code));
      }),
    );
  });
});
