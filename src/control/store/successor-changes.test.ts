/** What a process that has handed its store over learns from the one that has it now. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { within } from "../../../test/support/events.ts";
import { tempPath } from "../../../test/support/temp.ts";
import type { CloseReason } from "../auth/active-streams.ts";
import { createIdentity } from "../auth/identity.ts";
import { hashToken } from "../auth/tokens.ts";
import { checkOptions } from "../options.ts";
import { createParts } from "../parts.ts";
import { release } from "../shutdown.ts";
import { openStore } from "./open-store.ts";
import { IssuedTokenStore } from "./tokens.ts";

it("closes the groups and refuses the tokens that the successor has taken away, and keeps the others", async () => {
  const dataDirectory = tempPath("-data");
  const settings = checkOptions({ dataDirectory });
  const parts = createParts(settings, await openStore({ directory: dataDirectory }));
  const issue = (id: string, group: string): string =>
    parts.issuer.issue({ id, kind: "runner", runners: [`sandbox-${group}`], group }).secret;
  const [ended, kept] = [issue("session-ended", "ended"), issue("session-kept", "kept")];
  const closed = Promise.withResolvers<CloseReason>();
  const identity = createIdentity("viewer", hashToken("viewer"), { kind: "admin", runners: ["*"] });
  parts.activeStreams.add({ identity, group: "ended", isEndless: () => true, close: closed.resolve });
  parts.activeStreams.add({
    identity,
    group: "kept",
    isEndless: () => true,
    close: () => assert.fail("it is kept"),
  });

  parts.store.release();
  const successor = await openStore({ directory: dataDirectory });
  new IssuedTokenStore(successor).remove("session-ended");
  const changed = Promise.withResolvers<void>();
  parts.tokens.onChange(() => changed.resolve());
  parts.store.successor.follow();
  assert.equal((await within(closed.promise, "the end of the group")).kind, "group-closed");
  await within(changed.promise, "the change of tokens");
  assert.equal(parts.tokens.find(ended), undefined);
  assert.equal(parts.tokens.find(kept)?.id, "session-kept");

  release(parts, { extensions: undefined, stops: [], stopRemembering: () => {} });
  successor.close();
});
