import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isHost } from "./host.ts";

describe("a Host", () => {
  it("is a name or an address, with or without a port", () => {
    for (const host of [
      "localhost",
      "a.b",
      "web.runner:80",
      "a_b",
      "127.0.0.1:8080",
      "[::1]",
      "[fe80::1%25eth0]:80",
      "a:",
    ]) {
      assert.ok(isHost(host), host);
    }
  });

  it("is nothing else", () => {
    const long = "a".repeat(301);
    for (const host of [
      "",
      "a b",
      "a,b",
      "a, b",
      "a/b",
      "u@a",
      "a:x",
      "a:123456",
      "[::1",
      "::1",
      "a\tb",
      "é",
      'a"b',
      long,
    ]) {
      assert.ok(!isHost(host), host);
    }
  });
});
