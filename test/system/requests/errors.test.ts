/** A failure before the target's response is reported at once, with status, code and fixed text. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { CALLERS, openCaller, via } from "../../support/callers.ts";
import { checkErrorResponse, FAILURES, startFailure, tokenOf } from "../../support/failures.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { refusingAddress, startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

for (const kind of CALLERS) {
  describe(`over ${kind}`, () => {
    for (const failure of FAILURES) {
      it(`${failure.what}: ${failure.status} ${failure.code}`, async () => {
        await using system = await startFailure(failure);
        await using caller = await openCaller(kind, system);
        const token = tokenOf(failure);
        const response = await caller.call({
          path: via("/secret/path", failure.name ?? TARGET, failure.runner ?? RUNNER),
          headers: {
            authorization: token === undefined ? undefined : `Bearer ${token}`,
            ...(failure.timeoutS !== undefined && { "turnabout-timeout": failure.timeoutS }),
          },
        });
        assert.equal(response.kind, "end");
        checkErrorResponse(failure, response);
      });
    }

    it("one silent target does not delay other callers", async () => {
      await using system = await startSystem({ tls: true, target: await startTarget() });
      await system.addAgent({ "runner-2": { [TARGET]: await refusingAddress() } });
      await using caller = await openCaller(kind, system);
      const silent = caller.open({ path: via("/") });
      silent.request.on("error", () => {});
      silent.request.end();
      let hasResponse = false;
      silent.response.then(
        () => (hasResponse = true),
        () => {},
      );
      const refused = await caller.call({ path: via("/", TARGET, "runner-2") });
      const unknown = await caller.call({ path: via("/", TARGET, "never-seen") });
      assert.deepEqual([refused.status, unknown.status, hasResponse], [502, 404, false]);
      silent.abort();
    });
  });
}
