import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HEADER } from "../../wire/protocol.ts";
import { acceptHandshake, finishHandshake, requestHandshake } from "./handshake.ts";
import { ClusterKeys } from "./keys.ts";
import type { MacKey } from "./keys.ts";
import { CLOCK_TOLERANCE_MS, SIGNED_VALIDITY_MS } from "./limits.ts";
import { NotSigned, RequestSigner, RequestVerifier } from "./signed-requests.ts";

const SECRET = "0123456789abcdef".repeat(4);
const CONNECT = { ":method": "CONNECT", ":authority": "echo.runner-1" };
const ALICE = { id: "alice", kind: "user", owner: undefined, fingerprint: "ab".repeat(32) };
const CAUSE = { id: "request-1", client: "192.0.2.1", requester: ALICE };

/** Both ends' keys of one new connection. */
function connect(secretOfTo: string = SECRET): { from: MacKey; to: MacKey } {
  const [fromKeys, toKeys] = [new ClusterKeys(SECRET), new ClusterKeys(secretOfTo)];
  const request = requestHandshake(fromKeys, "node-1", "node-2");
  const accepted = acceptHandshake(toKeys, "node-2", request.value);
  return { from: finishHandshake(fromKeys, request, accepted.value), to: accepted.key };
}

interface Pair {
  /** The request with its field. */
  send(this: void, headers?: Record<string, string>): Record<string, string>;
  verifier: RequestVerifier;
  clock: { fromMs: number; toMs: number };
}

function pair({ from, to } = connect()): Pair {
  const clock = { fromMs: 5_000, toMs: 900_000 };
  const signer = new RequestSigner(from, () => clock.fromMs);
  const verifier = new RequestVerifier(to, () => clock.toMs);
  return {
    clock,
    verifier,
    send: (headers = CONNECT) => ({ ...headers, [HEADER.peer]: signer.sign(headers, CAUSE) }),
  };
}

function assertRefused(work: () => unknown, reason: RegExp, isStale = false): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof NotSigned);
    assert.match(error.message, reason);
    return error.isStale === isStale;
  });
}

describe("a request that is signed for another node", () => {
  it("says who has made it", () => {
    const { send, verifier } = pair();
    const { requestId, client, requester } = verifier.verify(send());
    assert.deepEqual(
      { requestId, client, requester },
      { requestId: CAUSE.id, client: CAUSE.client, requester: ALICE },
    );
  });

  it("is refused without the field, with two, and with one that is too long", () => {
    const { send, verifier } = pair();
    assertRefused(() => verifier.verify(CONNECT), /no signed field/);
    const value = String(send()[HEADER.peer]);
    assertRefused(() => verifier.verify({ ...CONNECT, [HEADER.peer]: [value, value] }), /no signed field/);
    assertRefused(() => verifier.verify({ ...CONNECT, [HEADER.peer]: "1".repeat(5_000) }), /no signed field/);
  });

  it("is refused where anything that the signature covers is another", () => {
    const other: Record<string, string>[] = [
      { ":authority": "docker.runner-1" },
      { ":method": "GET" },
      { ":protocol": "websocket" },
      { ":path": "/" },
    ];
    for (const changed of other) {
      const { send, verifier } = pair();
      assertRefused(() => verifier.verify({ ...send(), ...changed }), /not signed/);
    }
    const { send, verifier } = pair();
    const [number, atMs, , mac] = String(send()[HEADER.peer]).split(".");
    const admin = { requester: { ...ALICE, kind: "admin" } };
    const forged = Buffer.from(JSON.stringify(admin)).toString("base64url");
    for (const value of [
      [number, atMs, forged, mac],
      ["9", atMs, String(send()[HEADER.peer]).split(".")[2], mac],
      [number, atMs, forged, "A".repeat(43)],
      [number, atMs, forged, ""],
    ])
      assertRefused(() => verifier.verify({ ...CONNECT, [HEADER.peer]: value.join(".") }), /not signed/);
  });

  it("is refused the second time, and behind a later one", () => {
    const { send, verifier } = pair();
    const [first, second] = [send(), send()];
    verifier.verify(second);
    assertRefused(() => verifier.verify(second), /sent before/);
    assertRefused(() => verifier.verify(first), /sent before/);
    verifier.verify(send());
  });

  it("is refused on another connection between the same nodes", () => {
    const [one, other] = [pair(), pair()];
    assertRefused(() => other.verifier.verify(one.send()), /not signed/);
  });

  it("is stale after a while, and before the clocks can differ so much, whatever the clocks' zeros", () => {
    const late = pair();
    const sent = late.send();
    late.clock.toMs += SIGNED_VALIDITY_MS + 1;
    assertRefused(() => late.verifier.verify(sent), /ms ago/, true);
    const early = pair();
    early.clock.fromMs += CLOCK_TOLERANCE_MS + 1;
    assertRefused(() => early.verifier.verify(early.send()), /ms ago/, true);
    const timely = pair();
    timely.clock.fromMs += 3_600_000;
    timely.clock.toMs += 3_600_000 + SIGNED_VALIDITY_MS - 1;
    timely.verifier.verify(timely.send());
  });
});

describe("the handshake of two nodes", () => {
  const keys = new ClusterKeys(SECRET);
  const request = requestHandshake(keys, "node-1", "node-2");
  const accept = (value: string | undefined, self = "node-2"): unknown => acceptHandshake(keys, self, value);

  it("refuses a foreign secret at both ends", () => {
    const foreign = new ClusterKeys("f".repeat(64));
    assert.throws(() => acceptHandshake(foreign, "node-2", request.value), { code: "unauthenticated" });
    const { value } = acceptHandshake(keys, "node-2", request.value);
    assert.throws(() => finishHandshake(foreign, request, value), { code: "unauthenticated" });
    assert.throws(() => finishHandshake(keys, request, request.value), { code: "unauthenticated" });
  });

  it("refuses a request for another node, from itself, from another than it names, and none", () => {
    const renamed = request.value.replace("node-1", "node-3");
    const own = requestHandshake(keys, "node-2", "node-2").value;
    for (const value of [renamed, own, undefined, "", `${request.value} `, request.value.slice(0, -1)]) {
      assert.throws(() => accept(value), { code: "unauthenticated" });
    }
    assert.throws(() => accept(request.value, "node-3"), { code: "unauthenticated" });
  });

  it("that is sent again gives another key, which the sender does not have", () => {
    const [first, second] = [request.value, request.value].map((value) =>
      acceptHandshake(keys, "node-2", value),
    );
    assert.ok(first !== undefined && second !== undefined);
    assert.ok(!second.key.verify(first.key.mac("x", ["y"]), "x", ["y"]));
    assert.throws(() => finishHandshake(keys, requestHandshake(keys, "node-1", "node-2"), first.value));
  });

  it("has keys for each purpose and direction of their own", () => {
    const nonces = { fromNonce: "a".repeat(64), toNonce: "b".repeat(64) };
    const there = keys.connection({ from: "node-1", to: "node-2", ...nonces });
    const back = keys.connection({ from: "node-2", to: "node-1", ...nonces });
    const macs = [there, back, keys.handshake].map((key) => key.mac("request", ["x"]));
    assert.equal(new Set(macs).size, 3);
    assert.notEqual(keys.handshake.mac("request", ["x", "y"]), keys.handshake.mac("request", ["x\n1:y"]));
  });

  it("needs a long secret", () => {
    assert.throws(() => new ClusterKeys("x".repeat(31)), { code: "config_invalid" });
  });
});
