import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ActiveStreams } from "../../control/auth/active-streams.ts";
import { TokenIssuer } from "../../control/auth/issuer.ts";
import { TokenStore } from "../../control/auth/tokens.ts";
import { Store } from "../../control/store/store.ts";
import { IssuedTokenStore } from "../../control/store/tokens.ts";
import { SandboxAccess } from "./sandbox-access.ts";

describe("SandboxAccess", () => {
  it("makes a session's token for its sandbox and nothing else", () => {
    const tokens = new TokenStore(undefined);
    const issuer = new TokenIssuer(new IssuedTokenStore(new Store()), tokens);
    const disconnected: string[] = [];
    const access = new SandboxAccess({
      tokens: issuer,
      activeStreams: new ActiveStreams(),
      runners: { kick: (runner) => disconnected.push(runner) },
    });
    const first = access.issueToken("ses_1");
    const second = access.issueToken("ses_1");
    assert.equal(tokens.find(first), undefined, "the second replaces the first");
    const identity = tokens.find(second);
    assert.deepEqual(
      ["sandbox-ses_1", "desktop-ses_1", "desktop-ses_2", "sandbox-ses_11", "wolf-a", "sandbox-*"].map((id) =>
        identity?.mayRegister(id),
      ),
      [true, true, false, false, false, false],
    );
    assert.equal(identity?.mayDial("sandbox-ses_1", "screenshot"), false);
    assert.deepEqual([identity?.owner, identity?.mayAdminister], [undefined, false]);
    access.close("ses_1");
    assert.equal(tokens.find(second), undefined);
    assert.deepEqual(disconnected, ["sandbox-ses_1", "desktop-ses_1"]);
  });
});
