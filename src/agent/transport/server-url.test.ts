import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { TurnaboutError } from "../../wire/errors.ts";
import { endpointUrl, hostAndPort, redactUrl, socketPathOf, zoneOf } from "./server-url.ts";

describe("the agent endpoint of a server URL", () => {
  const endpoints: Record<string, string> = {
    "https://cp.example": "https://cp.example/api/v1/revdial",
    "https://cp.example/": "https://cp.example/api/v1/revdial",
    "http://cp.example:8080": "http://cp.example:8080/api/v1/revdial",
    "cp.example:8080": "http://cp.example:8080/api/v1/revdial",
    localhost: "http://localhost/api/v1/revdial",
    "ws://cp.example": "http://cp.example/api/v1/revdial",
    "wss://cp.example/base": "https://cp.example/base/api/v1/revdial",
    "https://cp.example/base/": "https://cp.example/base/api/v1/revdial",
    "https://cp.example/a/b//": "https://cp.example/a/b/api/v1/revdial",
    "https://cp.example/api/v1/revdial": "https://cp.example/api/v1/revdial",
    "https://cp.example/base/api/v1/revdial/": "https://cp.example/base/api/v1/revdial",
    "https://cp.example/revdial": "https://cp.example/api/v1/revdial",
    "https://cp.example/base/revdial?runnerid=old": "https://cp.example/base/api/v1/revdial",
    "http://[::1]:8080": "http://[::1]:8080/api/v1/revdial",
    "https://[2001:db8::1]/x": "https://[2001:db8::1]/x/api/v1/revdial",
    "http://[fe80::1%eth0]:8080": "http://[fe80::1]:8080/api/v1/revdial",
    "[fe80::1%25br-1a2b]:8080/base": "http://[fe80::1]:8080/base/api/v1/revdial",
    "https://cp.example/?token=secret#f": "https://cp.example/api/v1/revdial",
    "https://cp.example:443": "https://cp.example/api/v1/revdial",
  };
  for (const [server, endpoint] of Object.entries(endpoints)) {
    it(`of ${server} is ${endpoint}`, () => assert.equal(endpointUrl(server).href, endpoint));
  }

  it("is the endpoint of itself", () => {
    for (const server of Object.keys(endpoints)) {
      const endpoint = endpointUrl(server).href;
      assert.equal(endpointUrl(endpoint).href, endpoint);
    }
  });

  it("does not contain the zone of a link-local address, which is parsed separately", () => {
    for (const [server, zone] of [
      ["http://[fe80::1%eth0]:8080", "eth0"],
      ["https://u:p@[fe80::1%25en_0]/base", "en_0"],
      ["[fe80::1%br-1a2b3c4d5e6f]", "br-1a2b3c4d5e6f"],
      ["http://[fe80::1%25]", "25"],
      ["http://[fe80::1%252%2E3]", "2.3"],
      ["http://[fe80::1]", undefined],
      ["http://h/[fe80::1%eth0]", undefined],
      ["unix:/run/[fe80::1%eth0]", undefined],
    ] as const) {
      assert.equal(zoneOf(server), zone, server);
    }
  });

  it("of a Unix socket is on localhost, and the whole path is the socket's", () => {
    for (const server of ["unix:/run/turnabout.sock", "unix:///run/turnabout.sock"]) {
      assert.equal(endpointUrl(server, ["a"]).href, "http://localhost/api/v1/revdial?runnerid=a");
      assert.equal(socketPathOf(server), "/run/turnabout.sock");
    }
    assert.equal(socketPathOf("unix:/run/x:y?z#%20"), "/run/x:y?z#%20");
    assert.equal(socketPathOf("http://unix/x"), undefined);
    assert.throws(() => socketPathOf(`unix:/${"x".repeat(107)}`), { code: "config_invalid" });
  });

  it("names its runners", () => {
    assert.equal(endpointUrl("http://h", ["a", "b"]).search, "?runnerid=a&runnerid=b");
  });

  it("is refused with a message that holds no secret", () => {
    for (const bad of [
      "",
      "ftp://h",
      "https://",
      "http://",
      "://x",
      "unix:x",
      "http://user:secret@",
      "http://u:se/cret@h",
      "u:secret@h:99999",
      "http://u:x@secret@h:x",
    ]) {
      assert.throws(
        () => endpointUrl(bad),
        (error) =>
          error instanceof TurnaboutError &&
          error.code === "config_invalid" &&
          !error.message.includes("secret"),
        bad,
      );
    }
  });

  it("is refused with user information, which would not be used, and the message does not contain it", () => {
    for (const server of [
      "https://user:secret@cp.example/base",
      "http://secret@cp.example",
      "https://:secret@cp.example",
      "user:secret@cp.example",
      "wss://user:se@secret@cp.example?x",
      "https://user:secret@[fe80::1%25en_0]/base",
    ]) {
      assert.throws(
        () => endpointUrl(server),
        (error) =>
          error instanceof TurnaboutError &&
          error.code === "config_invalid" &&
          /^server URL "(?:http|ws)s?:\/\/[^@"]+": it contains user information, which is not used$/.test(
            error.message,
          ) &&
          error.hint?.includes("token") === true &&
          !error.message.includes("secret"),
        server,
      );
    }
  });

  it("is a URL or a TurnaboutError for any text", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((rest) => `https://${rest}`),
        ),
        (text) => {
          try {
            assert.match(endpointUrl(text).pathname, /\/api\/v1\/revdial$/);
          } catch (error) {
            assert.ok(error instanceof TurnaboutError, String(error));
          }
        },
      ),
    );
  });
});

describe("host and port", () => {
  it("come without brackets and with the scheme's default", () => {
    assert.deepEqual(hostAndPort(new URL("http://[::1]/")), { host: "::1", port: 80 });
    assert.deepEqual(hostAndPort(new URL("https://h")), { host: "h", port: 443 });
    assert.deepEqual(hostAndPort(new URL("https://h:8443")), { host: "h", port: 8443 });
  });
});

describe("a URL in a log", () => {
  it("has no user, password, query or fragment", () => {
    assert.equal(redactUrl("https://u:p@h/path?token=t#x"), "https://h/path");
    assert.equal(redactUrl("https://u:p@ss@h/path"), "https://h/path");
    assert.equal(redactUrl("https://h/p@th"), "https://h/p@th");
  });
});
