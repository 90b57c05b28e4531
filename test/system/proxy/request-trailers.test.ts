/** Trailers of a request reach a target that takes chunked bodies, whatever the caller speaks. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ClientRequest } from "node:http";
import type { ClientHttp2Stream } from "node:http2";
import type { IncomingHttpHeaders } from "node:http";
import { afterEach, describe, it } from "node:test";
import { parseTarget } from "../../../src/agent/targets/targets.ts";
import { openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import { ending } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

interface Seen {
  sum: string | undefined;
  trailers: IncomingHttpHeaders;
}

for (const kind of PLAINTEXT_CALLERS) {
  describe(`trailers of a request over ${kind}`, () => {
    it("reach the target after bodies of any length, also while its version is unknown", async () => {
      const seen: Seen[] = [];
      await using target = await startHttpTarget((request, response) => {
        const hash = createHash("sha256");
        request.on("data", (chunk: Buffer) => hash.update(chunk));
        request.on("end", () => {
          seen.push({ sum: hash.digest("hex"), trailers: request.trailers });
          response.end("ok");
        });
      });
      await using system = await startSystem({ agents: 0 });
      const targets = ["a", "b;http=1.1", "c;http=1.0"].map((text) => {
        const [name = "", option] = text.split(";");
        return parseTarget(`${name}=${target.address}${option === undefined ? "" : `;${option}`}`);
      });
      await system.addAgent([{ id: RUNNER, targets }]);
      await using caller = await openCaller(kind, system);
      for (const [name, bytes] of [
        ["a", 2],
        ["a", 3],
        ["a", 300_000],
        ["b", 2],
        ["b", 300_000],
        ["c", 2],
      ] as const) {
        const body = Buffer.alloc(bytes, "\r\n0\r\n\r\n");
        const sum = createHash("sha256").update(body).digest("hex");
        const call = caller.open({
          method: "POST",
          path: via("/x", name),
          waitForTrailers: true,
          headers: caller.isHttp2 ? {} : { "transfer-encoding": "chunked", trailer: "X-Sum" },
        });
        sendTrailers(call.request, { "x-sum": sum, authorization: "Bearer forbidden here" });
        call.request.end(body);
        const response = await call.response;
        await ending(response.body);
        assert.equal(response.status, 200);
        assert.deepEqual(
          seen.at(-1),
          { sum, trailers: name === "c" ? {} : { "x-sum": sum } },
          `${bytes} bytes to ${name}`,
        );
      }
    });
  });
}

function sendTrailers(request: ClientRequest | ClientHttp2Stream, trailers: Record<string, string>): void {
  if ("addTrailers" in request) request.addTrailers(trailers);
  else request.once("wantTrailers", () => request.sendTrailers(trailers));
}
