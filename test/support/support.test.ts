import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import { TEST_CARRIERS } from "./carriers.ts";
import { ending, next } from "./events.ts";
import { assertNothingOpen } from "./nothing-open.ts";
import { createPki } from "./pki.ts";
import { echoStream, openSessionPair } from "./session-pair.ts";
import { RUNNER, startSystem, TARGET } from "./system.ts";

afterEach(() => assertNothingOpen());

describe("test fixtures", () => {
  for (const carrier of TEST_CARRIERS) {
    it(`carries a tunnel connection over ${carrier}`, async () => {
      await using pair = await openSessionPair({ carrier, onStream: echoStream });
      const socket = pair.tunnel();
      socket.end("hello");
      const { kind, data } = await ending(socket);
      assert.deepEqual([kind, data.toString()], ["end", "hello"]);
    });
  }

  it("starts a whole system and ends it without a trace", async () => {
    for (const tls of [false, true]) {
      await using system = await startSystem({ tls, faulty: true });
      const socket = await system.controlPlane.dial(RUNNER, TARGET);
      socket.end("hello");
      assert.equal((await ending(socket)).data.toString(), "hello");
    }
  });

  it("reconnects after a cut of the faulty path", async () => {
    await using system = await startSystem({ faulty: true });
    const lost = await system.controlPlane.dial(RUNNER, TARGET);
    const end = ending(lost);
    system.path?.cut();
    assert.equal((await end).kind, "error");
    const socket = await system.controlPlane.dial(RUNNER, TARGET);
    socket.end("again");
    assert.equal((await ending(socket)).data.toString(), "again");
  });

  it("issues certificates that verify against their authority", async () => {
    const pki = await createPki();
    const { cert } = await pki.issue({
      commonName: "wolf-1",
      dns: ["wolf-1"],
      uri: ["urn:x:y"],
      ip: ["::1"],
    });
    const leaf = new X509Certificate(cert);
    assert.ok(leaf.verify(new X509Certificate(pki.ca).publicKey));
    assert.equal(leaf.checkIP("::1"), "::1");
    const names = ["DNS:wolf-1", "IP Address:0:0:0:0:0:0:0:1", "URI:urn:x:y"];
    assert.deepEqual(leaf.subjectAltName?.split(", ").toSorted(), names);
  });

  it("ends a wait with what did not happen", async () => {
    await assert.rejects(next(process, "never", 5), /event 'never': not within 5 ms/);
  });
});
