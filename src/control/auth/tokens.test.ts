import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { Store } from "../store/store.ts";
import { IssuedTokenStore } from "../store/tokens.ts";
import { TokenIssuer } from "./issuer.ts";
import { hashToken, TokenStore } from "./tokens.ts";
import type { TokenRecord } from "./tokens.ts";

beforeEach(() => mock.timers.enable({ apis: ["Date", "setTimeout"], now: 1_000_000 }));
afterEach(() => mock.timers.reset());

function user(id: string, more: Partial<TokenRecord> = {}): TokenRecord {
  return { id, kind: "user", sha256: hashToken(`secret-${id}`), runners: [], ...more };
}

describe("TokenStore", () => {
  it("finds a token by its secret only, until it expires, and notifies", () => {
    const tokens = new TokenStore("admin-secret", [user("a", { expiresAtMs: 1_005_000 }), user("b")]);
    let changes = 0;
    tokens.onChange(() => (changes += 1));
    const identity = tokens.find("secret-a");
    assert.equal(identity?.id, "a");
    assert.equal(tokens.find("admin-secret")?.kind, "admin");
    for (const wrong of ["", "secret-", "secret-aa", hashToken("secret-a")]) {
      assert.equal(tokens.find(wrong), undefined);
    }
    mock.timers.tick(4_999);
    assert.equal(tokens.find("secret-a")?.id, "a");
    mock.timers.tick(1);
    assert.equal(tokens.find("secret-a"), undefined);
    assert.equal(identity && tokens.current(identity), undefined);
    assert.equal(tokens.has("a"), false);
    mock.timers.tick(1);
    assert.equal(changes, 1);
    assert.equal(tokens.find("secret-b")?.id, "b");
    tokens.close();
  });

  it("waits for an expiry that is years away, and for the next one after the first", () => {
    const far = 1_000_000 + 3_000_000_000;
    const tokens = new TokenStore(undefined, [
      user("a", { expiresAtMs: 1_001_000 }),
      user("b", { expiresAtMs: far }),
    ]);
    let changes = 0;
    tokens.onChange(() => (changes += 1));
    mock.timers.tick(1_001);
    assert.equal(changes, 1);
    mock.timers.tick(2 ** 31 - 1); // the maximum delay of a timer
    assert.equal(changes, 2, "looked at again");
    assert.equal(tokens.find("secret-b")?.id, "b");
    mock.timers.tick(3_000_000_000 - 2 ** 31);
    assert.equal(changes, 3);
    assert.equal(tokens.find("secret-b"), undefined);
    tokens.close();
  });

  it("knows the users who can come in", () => {
    const tokens = new TokenStore("admin-secret", [
      user("a", { owner: "alice" }),
      user("b", { owner: "alice" }),
      user("c", { expiresAtMs: 1_001_000 }),
      { ...user("d"), kind: "runner" },
    ]);
    assert.deepEqual([...tokens.owners()].toSorted(), ["admin", "alice", "c"]);
    tokens.revoke([hashToken("secret-a")]);
    mock.timers.tick(1_001);
    assert.deepEqual([...tokens.owners()].toSorted(), ["admin", "alice"]);
    tokens.close();
  });

  it("adds and removes one without the others, also if two sources have the same", () => {
    const tokens = new TokenStore(undefined, [user("a")]);
    let changes = 0;
    tokens.onChange(() => (changes += 1));
    tokens.add(user("b", { expiresAtMs: 1_001_000 }), "issued");
    tokens.add(user("a"), "issued");
    assert.deepEqual([changes, tokens.size, tokens.find("secret-b")?.id], [0, 2, "b"]);
    tokens.remove(user("a"), "issued");
    assert.equal(tokens.find("secret-a")?.id, "a", "it is still in the other");
    mock.timers.tick(1_001);
    assert.deepEqual([changes, tokens.find("secret-b")], [2, undefined]);
    tokens.remove(user("b"), "issued");
    assert.deepEqual([changes, tokens.size], [3, 1]);
    tokens.close();
  });

  it("lets each source replace its own tokens only, even more than a call can have arguments", () => {
    const tokens = new TokenStore(undefined, [user("option")]);
    tokens.replace(
      Array.from({ length: 200_000 }, (_, i) => user(`f${i}`, { sha256: i.toString(16).padStart(64, "0") })),
      "file",
    );
    tokens.replace([user("issued")], "issued");
    assert.equal(tokens.size, 200_002);
    tokens.replace([], "file");
    assert.deepEqual(
      ["option", "issued", "f1"].map((id) => tokens.has(id)),
      [true, true, false],
    );
    tokens.close();
  });
});

describe("TokenIssuer", () => {
  function start() {
    const tokens = new TokenStore("admin-secret", [user("in-file")]);
    return { store: new IssuedTokenStore(new Store()), tokens };
  }
  const request = (id: string, more: object = {}) => ({ id, kind: "user" as const, runners: [], ...more });

  it("keeps only hashes, across restarts", () => {
    const { store, tokens } = start();
    const { secret } = new TokenIssuer(store, tokens).issue(
      request("alice", { owner: "al", targets: ["x"] }),
    );
    assert.ok(!JSON.stringify(store.list()).includes(secret));
    const again = new TokenStore(undefined);
    const issuer = new TokenIssuer(store, again);
    assert.equal(again.find(secret)?.owner, "al");
    assert.deepEqual(issuer.list(), store.list());
    assert.equal(issuer.revoke("alice"), true);
    assert.equal(issuer.revoke("alice"), false);
    assert.equal(again.find(secret), undefined);
    assert.deepEqual(store.list(), []);
  });

  it("issues an id once, from any source, until its token expires", () => {
    const { store, tokens } = start();
    const issuer = new TokenIssuer(store, tokens);
    issuer.issue(request("alice", { expiresAtMs: 1_002_000 }));
    for (const id of ["alice", "admin", "in-file"]) {
      assert.throws(
        () => issuer.issue(request(id)),
        (error) => error instanceof TurnaboutError && error.code === "already_exists",
        id,
      );
    }
    mock.timers.tick(2_000);
    const { secret } = issuer.issue(request("alice"));
    assert.equal(tokens.find(secret)?.id, "alice");
    assert.equal(store.list().length, 1);
    tokens.close();
  });

  it("drops tokens at its start that have expired meanwhile", () => {
    const { store, tokens } = start();
    const issuer = new TokenIssuer(store, tokens);
    issuer.issue(request("short", { expiresAtMs: 1_001_000 }));
    issuer.issue(request("long", { expiresAtMs: 9_001_000 }));
    mock.timers.tick(5_000);
    assert.deepEqual(
      new TokenIssuer(store, new TokenStore(undefined)).list().map(({ id }) => id),
      ["long"],
    );
    tokens.close();
  });
});
