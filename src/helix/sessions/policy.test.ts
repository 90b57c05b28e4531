import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CodedError } from "../../wire/errors.ts";
import { Store } from "../../control/store/store.ts";
import { HELIX_MIGRATIONS } from "../store/migrations.ts";
import { SessionStore } from "../store/sessions.ts";
import type { Session } from "../store/sessions.ts";
import { Access } from "../../control/auth/access.ts";
import { createIdentity } from "../../control/auth/identity.ts";
import type { Identity } from "../../control/auth/identity.ts";
import { Policy } from "./policy.ts";

const session: Session = {
  id: "ses_1",
  owner: "alice",
  name: "n",
  instanceId: "a",
  lobbyId: "l",
  lobbyPin: undefined,
  state: "running",
  reason: undefined,
  spec: { width: 1, height: 1, refreshRate: 1 },
  createdAtMs: 1,
  updatedAtMs: 1,
};

function start(): { access: Access; policy: Policy; store: SessionStore } {
  const store = new SessionStore(new Store({ migrations: [HELIX_MIGRATIONS] }));
  store.insert({ ...session });
  const [access, policy] = [new Access(), new Policy(store)];
  access.add(policy);
  return { access, policy, store };
}

const admin = createIdentity("admin", "h", { kind: "admin", runners: [] });
const alice = createIdentity("laptop", "h", { kind: "user", runners: [], owner: "alice" });
const bob = createIdentity("alice", "h", { kind: "user", runners: [], owner: "bob" });
const runner = createIdentity("alice", "h", { kind: "runner", runners: ["*"], owner: "alice" });

function codeOf(call: () => unknown): string {
  try {
    call();
    return "ok";
  } catch (error) {
    return error instanceof CodedError ? error.code : String(error);
  }
}

describe("Policy", () => {
  it("gives a session to its owner and to admins, and hides from others that it exists", () => {
    const { policy } = start();
    const may = (identity: Identity, id: string) => codeOf(() => policy.session(identity, id));
    for (const [identity, expected] of [
      [alice, "ok"],
      [admin, "ok"],
      [bob, "session_unknown"],
      [runner, "session_unknown"],
    ] as const) {
      assert.equal(may(identity, "ses_1"), expected);
    }
    for (const id of ["ses_2", "", "1", "SES_1", "ses_1/", "ses_1%00", `ses_${"x".repeat(200)}`]) {
      assert.equal(may(admin, id), "session_unknown", id);
    }
  });

  it("lets the owner dial the session's sandbox, and nothing that only looks like it", () => {
    const { access } = start();
    assert.equal(access.mayDial(alice, "sandbox-ses_1", "screenshot"), true);
    assert.equal(access.mayDial(alice, "desktop-ses_1", "screenshot"), true);
    assert.equal(access.mayDial(bob, "sandbox-ses_1", "screenshot"), false);
    assert.equal(access.mayDial(bob, "desktop-ses_1", "screenshot"), false);
    assert.equal(access.mayDial(runner, "sandbox-ses_1", "screenshot"), false);
    for (const other of ["sandbox-ses_2", "sandbox-ses_11", "wolf-a", "hydra-ses_1", "ses_1", "sandbox-"]) {
      assert.equal(access.mayDial(alice, other, "screenshot"), false, other);
    }
  });

  it("closes all access to a session that is being stopped; its state can still be read", () => {
    const { access, policy, store } = start();
    const stored = store.get("ses_1") ?? assert.fail();
    for (const state of ["creating", "running", "lost"] as const) {
      store.update(stored, { state });
      assert.equal(
        codeOf(() => policy.openSession(alice, "ses_1")),
        "ok",
        state,
      );
    }
    store.update(stored, { state: "stopping" });
    assert.equal(
      codeOf(() => policy.session(alice, "ses_1")),
      "ok",
    );
    assert.equal(
      codeOf(() => policy.openSession(alice, "ses_1")),
      "session_unknown",
    );
    assert.equal(access.mayDial(alice, "sandbox-ses_1", "screenshot"), false);
  });
});
