import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { SIGN_IN_IDLE_MS, SIGN_IN_MAX_MS } from "../limits.ts";
import { Shares } from "../shares/shares.ts";
import type { Identity } from "./identity.ts";
import { SignIns } from "./sign-ins.ts";
import { hashToken, TokenStore } from "./tokens.ts";
import type { TokenRecord } from "./tokens.ts";

const ALICE: TokenRecord = { id: "alice", kind: "user", sha256: hashToken("a"), runners: ["web"] };
const BOB: TokenRecord = { id: "bob", kind: "user", sha256: hashToken("b"), runners: [] };

let opened: { signIns: SignIns; tokens: TokenStore }[] = [];

afterEach(() => {
  for (const { signIns, tokens } of opened) {
    signIns.close();
    tokens.close();
  }
  opened = [];
});

function start({ perHolder = 2, total = 100, alice = ALICE } = {}) {
  const clock = { now: Date.now() };
  const tokens = new TokenStore(undefined, [alice, BOB]);
  const places = new Shares({ what: "sign-ins", perHolder, perOperator: perHolder, total });
  const signIns = new SignIns(tokens, places, () => clock.now);
  const ended: number[] = [];
  signIns.onEnd(() => ended.push(signIns.size));
  opened.push({ signIns, tokens });
  const identityOf = (token: string): Identity => tokens.find(token) ?? assert.fail("no such token");
  return { clock, tokens, signIns, ended, begin: (token = "a") => signIns.begin(identityOf(token)) };
}

describe("a sign-in", () => {
  it("stands for its token under a random id, and what is shown of it is not that id", () => {
    const { signIns, begin } = start();
    const [first, second] = [begin(), begin()];
    assert.notEqual(first.id, second.id);
    const identity = signIns.find(first.id) ?? assert.fail("not found");
    assert.deepEqual([identity.id, identity.mayDial("web", "x")], ["alice", true]);
    assert.ok(!JSON.stringify(identity).includes(first.id));
    assert.equal(signIns.find(`${first.id}x`), undefined);
    assert.equal(signIns.find("a"), undefined, "a token is none");
  });

  it("ends when it is not used, and at the latest after its longest time", () => {
    const { clock, signIns, begin, ended } = start();
    const unused = begin();
    clock.now += SIGN_IN_IDLE_MS - 1;
    const used = begin();
    clock.now += 1;
    assert.equal(signIns.find(unused.id), undefined);
    signIns.sweep();
    assert.deepEqual(ended, [1]);
    const beganAt = clock.now - 1;
    signIns.find(used.id);
    while (clock.now < beganAt + SIGN_IN_MAX_MS - SIGN_IN_IDLE_MS) {
      clock.now += SIGN_IN_IDLE_MS - 1;
      assert.ok(signIns.find(used.id), "use renews it");
    }
    clock.now = beganAt + SIGN_IN_MAX_MS;
    assert.equal(signIns.find(used.id), undefined);
  });

  it("never lasts longer than its token", () => {
    const expiresAtMs = Date.now() + 60_000;
    const { signIns, begin } = start({ alice: { ...ALICE, expiresAtMs } });
    const { identity, endsAtMs } = begin();
    assert.equal(endsAtMs, expiresAtMs);
    assert.equal(signIns.timesOf(identity)?.expiresAtMs, expiresAtMs);
  });

  it("ends with its token, and follows a changed grant", () => {
    const { tokens, signIns, begin, ended } = start();
    const { id, identity } = begin();
    tokens.replace([{ ...ALICE, runners: ["db"] }, BOB], "options");
    const changed = signIns.find(id) ?? assert.fail("still signed in");
    assert.deepEqual([changed.mayDial("web", "x"), changed.mayDial("db", "x")], [false, true]);
    tokens.replace([BOB], "options");
    assert.deepEqual([signIns.find(id), signIns.isOpen(identity), ended], [undefined, false, [0]]);
  });

  it("is a use of its token", () => {
    const { tokens, begin, signIns } = start();
    const { id } = begin();
    const uses: string[] = [];
    tokens.used = (identity) => void uses.push(identity.id);
    signIns.find(id);
    assert.deepEqual(uses, ["alice"]);
  });

  it("ends at a sign-out, alone", () => {
    const { signIns, begin, ended } = start();
    const [first, second] = [begin(), begin()];
    signIns.end(first.identity);
    signIns.end(first.identity);
    assert.deepEqual([signIns.find(first.id), ended], [undefined, [1]]);
    assert.ok(signIns.find(second.id));
  });

  it("beyond a user's places takes that of the user's own least recently used one", () => {
    const { clock, signIns, begin } = start();
    const others = begin("b");
    const [first, second] = [begin(), begin()];
    clock.now += 1;
    signIns.find(first.id);
    const third = begin();
    assert.deepEqual(
      [first, second, third, others].map(({ id }) => signIns.find(id) !== undefined),
      [true, false, true, true],
    );
  });

  it("is refused where all places are taken, and gives its place back", () => {
    const { signIns, begin } = start({ total: 1 });
    const first = begin();
    assert.throws(() => begin("b"), { code: "overloaded" });
    signIns.end(first.identity);
    assert.ok(begin("b"));
  });
});
