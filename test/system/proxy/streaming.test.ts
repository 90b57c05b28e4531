/** Responses that come in parts: each part reaches the caller before the next one exists. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { afterEach, describe, it } from "node:test";
import { CALLERS, openCaller, via } from "../../support/callers.ts";
import { MOONLIGHT_CREDENTIALS, MOONLIGHT_RUNNER, startDoubles, viaWolf } from "../../support/doubles.ts";
import { ending, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

for (const kind of CALLERS) {
  describe(`a streamed response over ${kind}`, () => {
    it("brings each of Wolf's events before the next one exists", async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openCaller(kind, doubles.system);
      const call = caller.open({ path: viaWolf("/api/v1/events") });
      call.request.end();
      const { status, headers, body } = await within(call.response, "the header, without any event");
      assert.deepEqual([status, headers["content-type"]], [200, "text/event-stream"]);
      for (const name of ["First", "Second"]) {
        const event = next<[Buffer]>(body, "data");
        doubles.wolf.emitEvent(name, { name });
        assert.equal(String((await event)[0]), `event: ${name}\ndata: {"name":"${name}"}\n\n`);
      }
      call.abort();
      await within(doubles.wolf.whenIdle(), "Wolf's connection closed after the caller's");
    });

    it("brings each line of a chunked body before the next one exists", async () => {
      const responses: ServerResponse[] = [];
      const target = await startHttpTarget((_request, response) => {
        response.writeHead(200, { "content-type": "application/x-ndjson" });
        response.flushHeaders();
        responses.push(response);
      });
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const call = caller.open({ path: via("/") });
      call.request.end();
      const { body } = await within(call.response, "the header, without a body");
      const [response] = responses;
      for (const line of ['{"Pin":"1234"}\n', '{"Paired":{}}\n']) {
        const data = next<[Buffer]>(body, "data");
        response?.write(line);
        assert.equal(String((await data)[0]), line);
      }
      const end = ending(body);
      response?.end();
      assert.equal((await end).kind, "end");
    });
  });
}

describe("a pairing with Moonlight Web", () => {
  // Moonlight Web wants a credential of its own, which the API route would keep: hence the forward proxy.
  for (const kind of CALLERS.filter((kind) => kind.startsWith("HTTP/1.1"))) {
    it(`shows its PIN long before it is paired, over ${kind}`, async () => {
      await using doubles = await startDoubles({ tls: true });
      await using caller = await openCaller(kind, doubles.system);
      const call = caller.open({
        method: "POST",
        path: `http://moonlight.${MOONLIGHT_RUNNER}/api/pair`,
        headers: {
          "content-type": "application/json",
          authorization: `Bearer ${MOONLIGHT_CREDENTIALS}`,
          "proxy-authorization": `Bearer ${ADMIN_TOKEN}`,
        },
      });
      call.request.end('{"host_id":1}');
      const { status, body } = await within(call.response, "the header");
      assert.equal(status, 200);
      const pin = await next<[Buffer]>(body, "data");
      assert.equal(String(pin[0]), '{"Pin":"1234"}');
      const rest = ending(body);
      assert.equal(doubles.moonlight.finishPairings("paired"), 1); // it had not ended before
      const { kind: how, data } = await rest;
      assert.equal(how, "end");
      assert.match(data.toString(), /^\n\{"Paired":\{.*\}\}$/);
    });
  }
});
