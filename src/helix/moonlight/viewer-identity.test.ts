import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseUserHeader, passesToMoonlight, viewerName } from "./viewer-identity.ts";

describe("fields of a viewer's request", () => {
  it("pass if a page or a client sends them, and no other does", () => {
    for (const name of [
      "accept",
      "accept-language",
      "cache-control",
      "content-type",
      "if-none-match",
      "origin",
      "range",
      "sec-ch-ua-platform",
      "sec-fetch-site",
      "sec-websocket-protocol",
      "user-agent",
    ]) {
      assert.equal(passesToMoonlight(name), true, name);
    }
    for (const name of [
      "accepted",
      "content_type",
      "if",
      "remote-user",
      "sec-user",
      "x-user",
      "authorization",
    ]) {
      assert.equal(passesToMoonlight(name), false, name);
    }
  });
});

describe("the field with a viewer's name", () => {
  it("may have any name that means nothing else", () => {
    assert.equal(parseUserHeader("X-Forwarded-User"), "x-forwarded-user");
    assert.equal(parseUserHeader("REMOTE_USER"), "remote_user");
    for (const name of [
      "",
      "a b",
      "x:y",
      "Authorization",
      "Cookie",
      "Host",
      "Accept",
      "Content-Length",
      "Sec-WebSocket-Key",
      "User-Agent",
      "X-Forwarded-For",
      "Turnabout-Host",
      "Proxy-User",
    ]) {
      assert.throws(
        () => parseUserHeader(name),
        { code: "config_invalid", message: /^moonlightUserHeader / },
        name,
      );
    }
  });

  it("has the user of the credential, or the operator's id, in characters that a field may have", () => {
    for (const [owner, id, expected] of [
      ["alice@example.org", "laptop", "alice@example.org"],
      [undefined, "admin", "admin"],
      ["Zoë ", "t", "Zo%C3%AB%20"],
      ["a%20b", "t", "a%2520b"],
      ["a b", "t", "a%20b"],
      ["a\r\nX: y", "t", "a%0D%0AX:%20y"],
      ["🖥", "t", "%F0%9F%96%A5"],
      ["\ud800", "t", "%EF%BF%BD"],
    ] as const) {
      assert.equal(viewerName({ owner, id }), expected);
    }
  });
});
