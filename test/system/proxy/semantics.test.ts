/** What HTTP means passes unchanged, whichever version the caller speaks. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { CALLERS, openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import { ending, next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import type { RawRequest } from "../../support/raw-target.ts";
import { startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

/** A target that sends these bytes as the response to every request. */
async function respondingWith(...lines: string[]) {
  const bytes = Buffer.from(lines.join("\r\n"), "latin1");
  return startRawTarget(({ socket }: RawRequest) => void socket.write(bytes));
}

for (const kind of CALLERS) {
  describe(`over ${kind}`, () => {
    it("HEAD keeps the length of the body that is not sent", async () => {
      const target = await respondingWith("HTTP/1.1 200 OK", "Content-Length: 748000", 'ETag: "x"', "", "");
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const response = await caller.call({ method: "HEAD", path: via("/screenshot") });
      assert.deepEqual(
        [
          response.status,
          response.headers["content-length"],
          response.headers["etag"],
          response.kind,
          response.text,
        ],
        [200, "748000", '"x"', "end", ""],
      );
    });

    it("204 has no body and the connection stays usable", async () => {
      const target = await respondingWith("HTTP/1.1 204 No Content", "X-Kept: yes", "", "");
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      for (let n = 1; n <= 2; n += 1) {
        const response = await caller.call({ method: "DELETE", path: via("/thing") });
        assert.deepEqual([response.status, response.headers["x-kept"], response.kind], [204, "yes", "end"]);
        assert.equal(response.text, "");
      }
      assert.equal(target.connections(), 1);
    });

    it("304 with its ETag is the response to If-None-Match", async () => {
      const target = await respondingWith(
        "HTTP/1.1 304 Not Modified",
        'ETag: "abc"',
        "Content-Length: 9",
        "",
        "",
      );
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const response = await caller.call({ path: via("/screenshot"), headers: { "if-none-match": '"abc"' } });
      assert.deepEqual([response.status, response.headers["etag"], response.text], [304, '"abc"', ""]);
      assert.match(target.heads[0] ?? "", /^if-none-match: "abc"$/im);
    });

    it("several Set-Cookie fields stay several, in their order", async () => {
      const target = await respondingWith(
        "HTTP/1.1 200 OK",
        "Set-Cookie: a=1; Path=/",
        "Set-Cookie: b=2, x",
        "Content-Length: 0",
        "",
        "",
      );
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const response = await caller.call({ path: via("/") });
      assert.deepEqual(response.headers["set-cookie"], [`a=1; Path=${via("/")}`, `b=2, x; Path=${via("/")}`]);
    });

    it("trailers follow the body", async () => {
      const target = await respondingWith(
        "HTTP/1.1 200 OK",
        "Transfer-Encoding: chunked",
        "Trailer: X-Checksum",
        "",
        "4",
        "body",
        "0",
        "X-Checksum: 42",
        "",
        "",
      );
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const response = await caller.call({ path: via("/"), headers: { te: "trailers" } });
      assert.deepEqual([response.text, response.trailers["x-checksum"]], ["body", "42"]);
    });

    it("103 early hints arrive before the final response exists", async () => {
      const requested = Promise.withResolvers<RawRequest>();
      const target = await startRawTarget((request) => {
        request.socket.write("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n");
        requested.resolve(request);
      });
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const call = caller.open({ path: via("/") });
      const hinted = next(call.request, caller.isHttp2 ? "headers" : "information");
      call.request.end();
      await hinted;
      assert.equal(call.informational[0]?.status, 103);
      assert.equal(call.informational[0].headers["link"], "</a.css>; rel=preload");
      const { socket } = await requested.promise;
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      const { status, body } = await within(call.response, "the response");
      assert.deepEqual([status, (await ending(body)).data.toString()], [200, "ok"]);
    });

    it("Expect: 100-continue is met, and the target sees an ordinary request", async () => {
      const target = await startHttpTarget((request, response) => {
        request.setEncoding("utf8");
        request.on("data", (text: string) => response.end(`${request.headers.expect ?? "none"} ${text}`));
      });
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const headers = { expect: "100-continue", "content-length": "4" };
      const call = caller.open({ method: "PUT", path: via("/"), headers });
      await next(call.request, "continue");
      call.request.end("body");
      const { body } = await within(call.response, "the response");
      assert.equal((await ending(body)).data.toString(), "none body");
    });

    for (const path of [
      "/?a=1&a=2&empty=&=x#".slice(0, -1),
      "//double//slash/",
      "/a/./b/../c",
      "/%2e%2e/%2F%5c%00%ff",
      "/a;b=c,d:e@f!$&'()*+",
      "/~tilde_-.",
      "?only=query",
    ]) {
      it(`the target sees ${path} byte for byte`, async () => {
        const target = await startHttpTarget((request, response) => response.end(request.url));
        await using system = await startSystem({ tls: true, target });
        await using caller = await openCaller(kind, system);
        const response = await caller.call({ path: via(path) });
        assert.deepEqual([response.status, response.text], [200, path.startsWith("?") ? `/${path}` : path]);
      });
    }

    for (const when of ["together with", "long before"] as const) {
      it(`bytes beyond ASCII pass both ways in a field that arrives ${when} the body`, async () => {
        const { promise: read, resolve: seen } = Promise.withResolvers<void>();
        const target = await startRawTarget(({ head, socket }) => {
          const value = /^x-in: (.*)$/im.exec(head)?.[1] ?? "absent";
          const response = `HTTP/1.1 200 OK\r\nX-Out: ${value}\r\nContent-Length: 2\r\n\r\n`;
          if (when === "together with") return void socket.write(`${response}ok`, "latin1");
          socket.write(response, "latin1");
          void read.then(() => socket.write("ok"));
        });
        await using system = await startSystem({ tls: true, target });
        await using caller = await openCaller(kind, system);
        const sent = Buffer.from("größe 画").toString("latin1"); // UTF-8, as a field's bytes
        const call = caller.open({ path: via("/"), headers: { "x-in": sent } });
        call.request.end();
        const { headers, body } = await within(call.response, "the header");
        const received = Buffer.from(String(headers["x-out"]), "latin1").toString("utf8");
        assert.equal(received, "größe 画");
        seen();
        assert.equal((await ending(body)).data.toString(), "ok");
      });
    }
  });
}

for (const kind of PLAINTEXT_CALLERS.slice(0, 1)) {
  it(`a reason phrase of the target's own reaches a caller over ${kind}`, async () => {
    const target = await respondingWith("HTTP/1.1 200 Fine, thanks", "Content-Length: 0", "", "");
    await using system = await startSystem({ target });
    await using caller = await openCaller(kind, system);
    const response = await caller.call({ path: via("/") });
    assert.deepEqual([response.status, response.reason], [200, "Fine, thanks"]);
  });
}

it("an absent reason phrase is nothing worse than absent", async () => {
  const target = await respondingWith("HTTP/1.1 404 ", "Content-Length: 0", "", "");
  await using system = await startSystem({ target });
  await using caller = await openCaller("HTTP/1.1", system);
  assert.equal((await caller.call({ path: via("/") })).status, 404);
});

it("a reason phrase that we may not repeat does not cost the response", async () => {
  const target = await respondingWith("HTTP/1.1 200 Sch\u00f6n", "Content-Length: 2", "", "ok");
  await using system = await startSystem({ target });
  await using caller = await openCaller("HTTP/1.1", system);
  const response = await caller.call({ path: via("/") });
  assert.deepEqual([response.status, response.text], [200, "ok"]);
});
