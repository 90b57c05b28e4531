/** Bytes of a caller that are no request: no error of ours ever lands inside a response that is under way. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { via } from "../../support/callers.ts";
import { ending, eventually } from "../../support/events.ts";
import { HALF, startHalfResponses } from "../../support/half-responses.ts";
import type { HalfResponses } from "../../support/half-responses.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { connectRaw } from "../../support/raw-http.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

let system: System;
let target: HalfResponses;

before(async () => {
  target = await startHalfResponses();
  system = await startSystem({ tls: true, target });
});

after(async () => {
  await system.close();
  await assertNothingOpen();
});

for (const kind of ["plaintext", "TLS"] as const) {
  describe(`on ${kind}`, () => {
    /** Sends a request, then garbage as soon as `when` has come, and reads until the connection ends. */
    async function exchange(path: string, garbage: string[], { body = "", when = HALF } = {}) {
      const ca = kind === "TLS" ? system.pki?.ca : undefined;
      const socket = await connectRaw(system.controlPlane.port, { ca });
      const ended = ending(socket);
      const before = target.heads.length;
      const framing = body === "" ? "" : "Transfer-Encoding: chunked\r\n";
      const method = body === "" ? "GET" : "POST";
      socket.write(
        `${method} ${via(path)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n${framing}\r\n${body}`,
      );
      let seen = "";
      socket.on("data", (chunk: Buffer) => (seen += chunk.toString("latin1")));
      await eventually(() => target.heads.length > before && seen.includes(when), "the first half");
      for (const piece of garbage) {
        socket.write(Buffer.from(piece, "latin1"));
        await eventually(() => socket.writableLength === 0 || socket.destroyed, "the garbage sent");
      }
      return { socket, text: () => seen, ended };
    }

    for (const garbage of [
      ["\0\0\r\n\r\n"],
      ["GET / HTTP/9.9\r\n\r\n"],
      ["\xff\xfe", "\0", "more\r\n\r\n"],
    ]) {
      it(`a body of known length stays whole before a 400 (${JSON.stringify(garbage)})`, async () => {
        const { socket, text, ended } = await exchange("/length", garbage);
        target.finish();
        await ended;
        socket.destroy();
        const [, body = ""] = text().split("\r\n\r\n");
        assert.ok(body.startsWith(HALF + HALF), body);
        assert.match(text(), /xHTTP\/1\.1 400 Bad Request\r\n/);
        assert.equal(text().split(" 400 ").length, 2);
      });
    }

    it("a chunked body stays whole before a 431", async () => {
      const large = `GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(70_000)}\r\n\r\n`;
      const { socket, text, ended } = await exchange("/chunked", [large]);
      target.finish();
      await ended;
      socket.destroy();
      assert.match(text(), /\r\n32\r\nx{50}\r\n32\r\nx{50}\r\n0\r\n\r\nHTTP\/1\.1 431 /);
    });

    it("a response that has not begun comes first", async () => {
      const { socket, text, ended } = await exchange("/late", ["\0\r\n\r\n"], { when: "" });
      target.finish();
      await ended;
      socket.destroy();
      assert.match(text(), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nx{100}(HTTP\/1\.1 400|$)/);
    });

    it("a bad chunk of its own body cuts the response that has begun", async () => {
      const { socket, text, ended } = await exchange("/length", ["ZZ\r\n\r\n"], { body: "2\r\nok\r\n" });
      const { kind: how } = await ended;
      socket.destroy();
      assert.match(text(), /\r\n\r\nx{50}$/);
      if (kind === "plaintext") assert.equal(how, "error");
    });

    it("a bad chunk of its own body before any response is one 400", async () => {
      const { socket, text, ended } = await exchange("/late", ["ZZ\r\n\r\n", "ZZ"], {
        body: "2\r\nok\r\n",
        when: "",
      });
      await ended;
      socket.destroy();
      assert.match(text(), /^HTTP\/1\.1 400 Bad Request\r\n/);
      assert.equal(text().split("HTTP/1.1").length, 2);
    });
  });
}
