/** Which header fields cross, and whose credentials go where. */
import assert from "node:assert/strict";
import http from "node:http";
import { afterEach, describe, it } from "node:test";
import { CALLERS, openCaller, via } from "../../support/callers.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const PROXY_AUTHORIZATION = `Bearer ${ADMIN_TOKEN}`;

async function startQuietTarget() {
  return startRawTarget(({ socket }) => {
    socket.end(
      [
        "HTTP/1.1 200 OK",
        "Connection: close, X-Hop, Keep-Alive",
        "Keep-Alive: timeout=5",
        "Proxy-Authenticate: Basic",
        "Proxy-Connection: close",
        "Upgrade: h2c",
        "X-Hop: this hop only",
        "X-End: to the end",
        "Content-Length: 0",
        "",
        "",
      ].join("\r\n"),
    );
  });
}

/** Names of the fields in a request head, in lower case. */
function names(head: string | undefined): string[] {
  return (head ?? "")
    .split("\r\n")
    .slice(1)
    .map((line) => line.slice(0, line.indexOf(":")).toLowerCase());
}

for (const kind of CALLERS) {
  describe(`fields of a request over ${kind}`, () => {
    it("lose what belongs to one hop, in both directions", async () => {
      const target = await startQuietTarget();
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const hop = {
        connection: "x-hop, close",
        "keep-alive": "timeout=9",
        "proxy-connection": "keep-alive",
        "x-hop": "this hop only",
      };
      const response = await caller.call({
        path: via("/"),
        headers: { "x-end": "to the end", ...(!caller.isHttp2 && hop) },
      });
      const seen = names(target.heads[0]);
      assert.ok(seen.includes("x-end"));
      for (const name of ["keep-alive", "proxy-connection", "x-hop", "te", "upgrade", "prefer"]) {
        assert.ok(!seen.includes(name), `${name} at the target`);
      }
      assert.equal(response.headers["x-end"], "to the end");
      for (const name of ["x-hop", "proxy-authenticate", "proxy-connection", "upgrade"]) {
        assert.equal(response.headers[name], undefined, `${name} at the caller`);
      }
      assert.doesNotMatch(String(response.headers["keep-alive"] ?? ""), /timeout=5/);
      assert.doesNotMatch(response.headers["connection"] ?? "", /x-hop/i);
    });

    it("keep the caller's credential from the target on the API route", async () => {
      const target = await startQuietTarget();
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      await caller.call({ path: via("/"), headers: { "proxy-authorization": "Basic eDp5", cookie: "a=b" } });
      const [head = ""] = target.heads;
      assert.doesNotMatch(head, /authorization/i);
      assert.ok(!head.includes(ADMIN_TOKEN));
      assert.match(head, /^cookie: a=b$/im);
    });

    it("keep every token of ours from the target, and nothing else", async () => {
      const target = await startQuietTarget();
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const basic = (password: string): string => `Basic ${Buffer.from(`x:${password}`).toString("base64")}`;
      const cookie = `access_token=${ADMIN_TOKEN}`;
      for (const [headers, query, kept] of [
        [{ "x-api-key": "theirs" }, "?access_token=theirs", ["x-api-key: theirs"]],
        [{ "x-api-key": ADMIN_TOKEN }, `?access_token=${ADMIN_TOKEN}`, []],
        [{ "x-api-key": `theirs, ${ADMIN_TOKEN}` }, "", []],
        [
          { authorization: basic("theirs"), "x-api-key": ADMIN_TOKEN },
          "",
          [`authorization: ${basic("theirs")}`],
        ],
        [{ authorization: 'Digest username="u"', cookie }, "", ['authorization: Digest username="u"']],
        [{ authorization: basic(ADMIN_TOKEN), cookie: `${cookie}; a=b` }, "", ["cookie: a=b"]],
      ] as const) {
        const response = await caller.call({ path: via(`/x${query}`), headers });
        assert.equal(response.status, 200, JSON.stringify(headers));
        const head = target.heads.at(-1) ?? "";
        assert.ok(!head.includes(ADMIN_TOKEN));
        assert.equal(head.split(" ", 2)[1], query.endsWith("theirs") ? `/x${query}` : "/x");
        const credentials = head
          .split("\r\n")
          .filter((line) => /^(?:authorization|x-api-key|cookie):/i.test(line));
        assert.deepEqual(credentials, kept);
      }
      const bearer = { authorization: "Bearer theirs", "x-api-key": ADMIN_TOKEN };
      assert.equal((await caller.call({ path: via("/"), headers: bearer })).status, 401, "Bearer is ours");
      const alone = { authorization: basic("theirs") };
      assert.equal((await caller.call({ path: via("/"), headers: alone })).status, 401);
    });

    it("pass the caller's preferences to the target, and that it accepts trailers", async () => {
      const target = await startQuietTarget();
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const prefer = 'return=representation, wait=5, foo="a, wait=9"';
      const connection = caller.isHttp2 ? {} : { connection: "TE, close" };
      await caller.call({ path: via("/"), headers: { prefer, te: "trailers", ...connection } });
      const [head = ""] = target.heads;
      assert.match(head, /^prefer: return=representation, foo="a, wait=9"$/im);
      assert.match(head, /^te: trailers$/im);
      await caller.call({
        path: via("/"),
        headers: { prefer: "wait=5", ...(!caller.isHttp2 && { te: "gzip;q=0.5", connection: "TE, close" }) },
      });
      assert.doesNotMatch(target.heads[1] ?? "", /^(?:prefer|te):/im);
    });

    it("name the caller, and the caller cannot replace them", async () => {
      const target = await startQuietTarget();
      await using system = await startSystem({ tls: true, target });
      await using caller = await openCaller(kind, system);
      const forged = {
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-proto": "gopher",
        "x-forwarded-prefix": "/gopher",
        forwarded: "for=6.6.6.6",
      };
      await caller.call({ path: via("/"), headers: forged });
      const [head = ""] = target.heads;
      assert.match(head, /^host: localhost$/im);
      assert.match(head, /^x-forwarded-for: (::ffff:)?127\.0\.0\.1$/im);
      assert.match(head, new RegExp(`^x-forwarded-proto: ${kind.endsWith("TLS") ? "https" : "http"}$`, "im"));
      assert.match(head, new RegExp(`^x-forwarded-prefix: ${via("")}$`, "im"));
      assert.doesNotMatch(head, /6\.6\.6\.6|gopher/);
    });
  });
}

for (const kind of CALLERS.filter((kind) => kind.startsWith("HTTP/1.1"))) {
  it(`the forward proxy over ${kind} passes Authorization on and keeps Proxy-Authorization`, async () => {
    const target = await startQuietTarget();
    await using system = await startSystem({ tls: true, target });
    await using caller = await openCaller(kind, system);
    const { status } = await caller.call({
      path: `http://${TARGET}.${RUNNER}/a?b`,
      headers: { authorization: "Bearer the target's own", "proxy-authorization": PROXY_AUTHORIZATION },
    });
    assert.equal(status, 200);
    const [head = ""] = target.heads;
    assert.match(head, /^GET \/a\?b HTTP\/1\.1\r\n/);
    assert.match(head, new RegExp(`^host: ${TARGET}\\.${RUNNER}$`, "im"));
    assert.match(head, /^authorization: Bearer the target's own$/im);
    assert.match(head, /^via: 1\.1 turnabout$/im);
    assert.doesNotMatch(head, /proxy-|x-forwarded/i);
    assert.ok(!head.includes(ADMIN_TOKEN));
  });
}

it("the forward proxy uses the URI and ignores Host", async () => {
  const target = await startQuietTarget();
  await using system = await startSystem({ target });
  const { promise, resolve } = Promise.withResolvers<number>();
  http
    .get(
      {
        port: system.controlPlane.port,
        agent: false,
        path: `http://${TARGET}.${RUNNER}/`,
        headers: { host: "other.runner-2", "proxy-authorization": PROXY_AUTHORIZATION },
      },
      (response) => resolve(response.resume().statusCode ?? 0),
    )
    .end();
  assert.equal(await promise, 200);
  assert.match(target.heads[0] ?? "", new RegExp(`^host: ${TARGET}\\.${RUNNER}$`, "im"));
});
