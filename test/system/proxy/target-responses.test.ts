/** What targets send that a caller's protocol, or node, has no exact expression for: passed as nearly as it can be. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { PASSED_INFORMATIONAL_RESPONSES } from "../../../src/control/limits.ts";
import { errorCode, openCaller, PLAINTEXT_CALLERS, via } from "../../support/callers.ts";
import type { Caller } from "../../support/callers.ts";
import { ending, eventually, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import type { RawRequest, RawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const BODY = "Content-Length: 2\r\n\r\nok";
const hints = (fields: string): string => `HTTP/1.1 103 Early Hints\r\n${fields}\r\n${OK}${BODY}`;
const trailing = (fields: string): string =>
  `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${fields}\r\n`;
const coded = (coding: string): string => `${OK}Transfer-Encoding: ${coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n`;
/** Nothing else comes, and the connection ends. */
const BEGINNINGS: Readonly<Record<string, string>> = {
  "/begun-103": "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
  "/begun-100": "HTTP/1.1 100 Continue\r\n\r\n",
  "/begun-line": "HTTP/1.1 20",
};
const utf8 = (text: string): string => Buffer.from(text).toString("latin1");

/** What the target sends, byte for byte, by path. */
const RESPONSES: Readonly<Record<string, string>> = {
  "/etag-twice": `${OK}ETag: "a"\r\nETag: "b"\r\nLocation: /x\r\nLocation: /y\r\n${BODY}`,
  "/type-twice": `${OK}Content-Type: text/plain\r\nContent-Type: text/html\r\n${BODY}`,
  "/date-twice": `${OK}Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nDate: Thu, 01 Jan 2026 00:00:01 GMT\r\nAge: 1\r\nAge: 2\r\n${BODY}`,
  "/whitespace": `${OK}X-Padded:  a b \t\r\nX-Empty:\r\n${BODY}`,
  "/connection": `${OK}HTTP2-Settings: x\r\nProxy-Connection: y\r\nTE: trailers\r\nUpgrade: z\r\nKeep-Alive: timeout=1\r\nX-Kept: yes\r\n${BODY}`,
  "/obs-text": `${OK}Content-Length: 2\r\nContent-Disposition: attachment; filename="${utf8("日本")}"\r\nX-Raw: \x80\xff\r\n\r\nok`,
  "/obs-text-first": `${OK}Content-Disposition: attachment; filename="${utf8("é")}"\r\n${BODY}`,
  "/many": `${OK}${Array.from({ length: 100 }, (_, i) => `x-${i}: y\r\n`).join("")}${BODY}`,
  "/large": `${OK}X-Large: ${"a".repeat(14_000)}\r\n${BODY}`,
  "/999": `HTTP/1.1 999 Denied\r\n${BODY}`,
  "/600": `HTTP/1.1 600 What\r\n${BODY}`,
  "/099": `HTTP/1.1 099 What\r\n${BODY}`,
  "/204": "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
  "/204-body": "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\nX-Kept: yes\r\n\r\nok",
  "/205": "HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nok",
  "/205-chunked": "HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
  "/304": 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 9\r\n\r\n',
  "/trailers-twice": trailing("ETag: a\r\nETag: a\r\nX-Sum: 1\r\n"),
  "/trailers-forbidden": trailing(
    "Connection: x-hop\r\nContent-Type: text/html\r\nTE: x\r\nUpgrade: x\r\nHTTP2-Settings: x\r\nX-Sum: 1\r\n",
  ),
  "/trailers-framing": trailing("Content-Length: 5\r\nX-Sum: 1\r\n"),
  "/trailers-close": trailing("Connection: close\r\nUpgrade: h2c\r\nKeep-Alive: timeout=1\r\nX-Sum: 1\r\n"),
  "/trailers-pseudo": trailing(":status: 500\r\nX-Sum: 1\r\n"),
  "/trailers-raw": trailing("X-Raw: \x80\xff\r\nX-Sum: 1\r\n"),
  "/hints-list": hints("Link: </a.css>; rel=preload; as=style, </b.js>; rel=preload\r\n"),
  "/hints-quoted": hints('Link: </a,b>; rel="preload stylesheet"; title="a, b; c"\r\n'),
  "/hints-empty": hints("Link:\r\n"),
  "/hints-two": hints("Link: </a>; rel=preload\r\nLink: </b>; rel=preload\r\n"),
  "/hints-raw": hints("Link: </\x80\xff>; rel=preload\r\n"),
  "/hints-length": hints(
    "Link: </a>; rel=preload\r\nContent-Length: 5\r\nKeep-Alive: x\r\nETag: a\r\nETag: b\r\n",
  ),
  "/hints-close": hints("Connection: close\r\nKeep-Alive: x\r\nLink: </a>\r\n"),
  "/hints-upgrade": hints("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n"),
  "/hints-cookies": hints(
    "Set-Cookie: a=1\r\nSet-Cookie: b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT\r\nETag: a\r\nETag: b\r\n",
  ),
  "/coded": coded("gzip, chunked"),
  "/coded-close": coded("gzip"),
  "/coded-twice": coded("chunked\r\nTransfer-Encoding: chunked"),
  "/coded-other": coded("chunked, x"),
  "/coded-304": "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
  "/chunked-http10": coded("chunked").replace("HTTP/1.1", "HTTP/1.0"),
  "/chunked-http10-length": coded("chunked\r\nContent-Length: 12").replace("HTTP/1.1", "HTTP/1.0"),
  "/chunk-no-size": `${OK}Transfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n`,
  "/chunk-after-hints": hints("Link: </a>\r\n").replace(BODY, "Transfer-Encoding: chunked\r\n\r\n-1\r\nok"),
  "/chunk-second": `${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\nxyz\r\nok\r\n0\r\n\r\n`,
  "/reason": `HTTP/1.1 200 \xe9t\xe9 \x80\r\n${BODY}`,
  "/continue": `HTTP/1.1 100 Continue\r\n\r\n${OK}${BODY}`,
  "/continue-many": `${"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n".repeat(20)}${OK}${BODY}`,
  "/continue-hints": `HTTP/1.1 100 Continue\r\n\r\n${hints("Link: </a>\r\n")}`,
  "/continue-flood": `${"HTTP/1.1 100 Continue\r\n\r\n".repeat(1_500)}${OK}${BODY}`,
  "/lf": "HTTP/1.1 200 OK\nContent-Length: 2\nX-Kept: yes\n\nok",
  "/lf-mixed": "HTTP/1.1 200 OK\r\nX-Kept: yes\nContent-Length: 2\r\n\nok",
  "/processing": `${"HTTP/1.1 102 Processing\r\n\r\n".repeat(3)}${OK}${BODY}`,
  "/199": `HTTP/1.1 199 What\r\nX-A: b\r\n\r\n${OK}${BODY}`,
  "/informational-flood": `${"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(1_500)}${OK}${BODY}`,
  "/informational-many": `${"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(500)}${OK}${BODY}`,
  "/continue-large": `HTTP/1.1 100 Continue\r\n${`X: ${"y".repeat(8_000)}\r\n`.repeat(200)}\r\n${OK}${BODY}`,
  "/hints-large": `HTTP/1.1 103 Early Hints\r\nX: ${"y".repeat(8_000)}\r\n\r\n`.repeat(200),
  "/switching": `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n${OK}${BODY}`,
  "/extra": `${OK}${BODY}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`,
};

let system: System;
let target: RawTarget;
/** The target's connection of the last request. */
let last: Socket | undefined;

before(async () => {
  target = await startRawTarget(({ head, socket }: RawRequest) => {
    last = socket;
    const path = head.split(" ", 2)[1] ?? "";
    const beginning = BEGINNINGS[path];
    if (beginning === undefined) socket.write(Buffer.from(RESPONSES[path] ?? "", "latin1"));
    else socket.end(beginning);
  });
  system = await startSystem({ target });
});

after(async () => {
  await system.close();
  await assertNothingOpen();
});

for (const kind of PLAINTEXT_CALLERS) {
  describe(`to a caller over ${kind}`, () => {
    let caller: Caller;
    before(async () => {
      caller = await openCaller(kind, system);
    });
    after(() => caller.close());

    const get = (path: string) => caller.call({ path: via(path) });
    async function openAndRead(path: string) {
      const call = caller.open({ path: via(path), bodyless: true });
      if (!caller.isHttp2) call.request.end();
      const { status, body } = await within(call.response, "the response");
      const { data } = await ending(body);
      return { status, text: data.toString(), informational: call.informational };
    }
    /** The response is whole, whatever happened to fields of it. */
    async function whole(path: string, status = 200, text = "ok") {
      const response = await get(path);
      assert.deepEqual([response.status, response.kind, response.text], [status, "end", text], path);
      return response;
    }

    for (const path of ["/etag-twice", "/type-twice", "/date-twice", "/many", "/large", "/extra"]) {
      it(`${path} passes`, async () => {
        await whole(path);
      });
    }

    it("a single-valued field that came twice keeps its first value", async () => {
      assert.match(String((await whole("/type-twice")).headers["content-type"]), /^text\/plain/);
      assert.match(String((await whole("/etag-twice")).headers["etag"]), /^"a"/);
    });

    it("whitespace around a value goes, an empty value stays", async () => {
      const { headers } = await whole("/whitespace");
      assert.deepEqual([headers["x-padded"], headers["x-empty"]], ["a b", ""]);
    });

    it("fields of the target's connection stay there", async () => {
      const { headers } = await whole("/connection");
      assert.equal(headers["x-kept"], "yes");
      for (const name of ["http2-settings", "proxy-connection", "te", "upgrade"]) {
        assert.equal(headers[name], undefined, name);
      }
    });

    it("bytes above 0x7f pass, before and after a Content-Length", async () => {
      const { headers } = await whole("/obs-text");
      assert.equal(headers["content-disposition"], `attachment; filename="${utf8("日本")}"`);
      assert.equal(headers["x-raw"], "\x80\xff");
      const first = await whole("/obs-text-first");
      assert.equal(first.headers["content-disposition"], `attachment; filename="${utf8("é")}"`);
    });

    it("a status above 599 passes on HTTP/1.1, and is 502 on HTTP/2", async () => {
      for (const status of [600, 999]) {
        if (!caller.isHttp2) await whole(`/${status}`, status);
        else {
          const response = await get(`/${status}`);
          assert.deepEqual([response.status, errorCode(response.text)], [502, "target_protocol"]);
        }
      }
    });

    it("a status below 100, and an unasked 101, are 502", async () => {
      for (const path of ["/099", "/switching"]) {
        const response = await get(path);
        assert.deepEqual([response.status, errorCode(response.text)], [502, "target_protocol"], path);
      }
    });

    it("204 has neither length nor content, whatever the target sends", async () => {
      for (const path of ["/204", "/204-body"]) {
        assert.equal((await whole(path, 204, "")).headers["content-length"], undefined, path);
      }
    });

    it("205 has no content, whatever the target sends", async () => {
      assert.equal((await whole("/205", 205, "")).headers["content-length"], "0");
      await whole("/205-chunked", 205, "");
    });

    it("304 keeps the length of what it stands for", async () => {
      assert.equal((await whole("/304", 304, "")).headers["content-length"], "9");
    });

    it("trailers pass, without those that frame the message or belong to a connection", async () => {
      for (const path of [
        "/trailers-twice",
        "/trailers-forbidden",
        "/trailers-framing",
        "/trailers-close",
        "/trailers-raw",
      ]) {
        const { trailers } = await whole(path);
        assert.equal(trailers["x-sum"], "1", path);
        for (const name of ["connection", "content-type", "te", "upgrade", "http2-settings"]) {
          assert.equal(trailers[name], undefined, `${path} ${name}`);
        }
      }
      assert.equal((await whole("/trailers-raw")).trailers["x-raw"], "\x80\xff");
    });

    it("trailers that are no fields break the message", async () => {
      assert.notEqual((await get("/trailers-pseudo")).kind, "end");
    });

    it("fields of a connection in a trailer section or in a 103 harm no later response on it", async () => {
      for (const path of ["/trailers-close", "/hints-close", "/hints-upgrade", "/trailers-framing"]) {
        for (let i = 0; i < 3; i += 1) await whole(path);
      }
    });

    it("content in a transfer coding besides chunked is 502; a response without content passes", async () => {
      for (const path of ["/coded", "/coded-close", "/coded-twice", "/coded-other"]) {
        const response = await get(path);
        assert.deepEqual([response.status, errorCode(response.text)], [502, "target_protocol"], path);
      }
      await whole("/coded-304", 304, "");
    });

    it("chunked content in HTTP/1.0 is 502: its framing is faulty", async () => {
      for (const path of ["/chunked-http10", "/chunked-http10-length"]) {
        const response = await get(path);
        assert.deepEqual([response.status, errorCode(response.text)], [502, "target_protocol"], path);
      }
    });

    it("a first chunk that is none is 502, and a later one breaks the response off", async () => {
      for (const path of ["/chunk-no-size", "/chunk-after-hints"]) {
        const response = await get(path);
        assert.deepEqual(
          [response.status, response.kind, errorCode(response.text)],
          [502, "end", "target_protocol"],
          path,
        );
      }
      const response = await get("/chunk-second");
      assert.deepEqual([response.status, response.kind], [200, "error"]);
    });

    it("a request is not repeated once a byte of its response has come", async () => {
      for (const path of Object.keys(BEGINNINGS)) {
        await whole("/etag-twice"); // a connection that is kept
        const requests = (): number => target.heads.filter((head) => head.startsWith(`GET ${path} `)).length;
        const before = requests();
        const response = await get(path);
        assert.deepEqual([response.status, requests() - before], [502, 1], path);
      }
    });

    it("informational responses pass with whatever fields they have", async () => {
      const paths = [
        "/hints-list",
        "/hints-quoted",
        "/hints-empty",
        "/hints-two",
        "/hints-raw",
        "/hints-length",
      ];
      for (const path of paths) {
        const call = caller.open({ path: via(path), bodyless: true });
        call.request.end();
        const response = await call.response;
        assert.equal(response.status, 200, path);
        response.body.resume();
        assert.deepEqual(
          call.informational.map(({ status }) => status),
          [103],
          path,
        );
        assert.equal(call.informational[0]?.headers["content-length"], undefined, path);
      }
    });

    it("102 and unknown informational responses pass", async () => {
      for (const [path, statuses] of [
        ["/processing", [102, 102, 102]],
        ["/199", [199]],
      ] as const) {
        const call = caller.open({ path: via(path), bodyless: true });
        call.request.end();
        (await call.response).body.resume();
        assert.deepEqual(
          call.informational.map(({ status }) => status),
          statuses,
        );
      }
    });

    it("an unsolicited 100 is dropped", async () => {
      for (const path of ["/continue", "/continue-many", "/continue-hints"]) await whole(path);
      const flood = await get("/continue-flood");
      assert.deepEqual([flood.status, errorCode(flood.text)], [502, "target_protocol"]);
    });

    it("header lines that end with LF alone are taken, also on a connection that is used again", async () => {
      for (const path of ["/lf", "/lf-mixed", "/lf"]) {
        assert.equal((await whole(path)).headers["x-kept"], "yes", path);
      }
    });

    it("of many informational responses the first are passed on", async () => {
      const { informational, status } = await openAndRead("/informational-many");
      assert.equal(status, 200);
      assert.equal(informational.length, PASSED_INFORMATIONAL_RESPONSES);
    });

    it("informational responses without end are an error of the target's, and end its connection", async () => {
      for (const path of ["/informational-flood", "/continue-large", "/hints-large"]) {
        const { status, text, informational } = await openAndRead(path);
        assert.deepEqual([status, errorCode(text)], [502, "target_protocol"], path);
        assert.ok(informational.length <= PASSED_INFORMATIONAL_RESPONSES, `${informational.length}`);
        await eventually(() => last?.destroyed === true, "the end of the target's connection");
      }
    });
  });
}

it("HTTP/1.0 callers get no informational response", async () => {
  for (const path of ["/hints-list", "/processing"]) {
    const { statuses } = await exchangeRaw(
      system.controlPlane.port,
      `GET ${via(path)} HTTP/1.0\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`,
    );
    assert.deepEqual(statuses, [200], path);
  }
});

it("values of a 103 and a reason phrase reach an HTTP/1.1 caller as they are", async () => {
  const ask = async (path: string): Promise<string> => {
    const fields = `Host: ${TARGET}.${RUNNER}\r\nProxy-Authorization: Bearer ${ADMIN_TOKEN}\r\nConnection: close\r\n`;
    const url = `http://${TARGET}.${RUNNER}${path}`;
    return (await exchangeRaw(system.controlPlane.port, `GET ${url} HTTP/1.1\r\n${fields}\r\n`)).text;
  };
  const [informational = ""] = (await ask("/hints-cookies")).split("\r\n\r\n", 1);
  assert.deepEqual(informational.split("\r\n").slice(1), [
    "set-cookie: a=1",
    "set-cookie: b=2; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
    "etag: a",
    "etag: b",
  ]);
  assert.match(await ask("/reason"), /^HTTP\/1\.1 200 \xe9t\xe9 \x80\r\n/);
});
