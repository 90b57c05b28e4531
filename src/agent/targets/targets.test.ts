import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_RUNNERS_PER_CONNECTION, MAX_TARGETS_PER_RUNNER } from "../../wire/limits.ts";
import { checkRunners, describeRunner, parseTarget, parseTargetAddress } from "./targets.ts";
import type { Target, TargetAddress } from "./targets.ts";

const isConfigInvalid = (error: unknown) =>
  error instanceof TurnaboutError && error.code === "config_invalid";

describe("a target's address", () => {
  const good: Record<string, TargetAddress> = {
    "unix:/var/run/wolf/wolf.sock": { kind: "unix", path: "/var/run/wolf/wolf.sock" },
    "unix:///var/run/wolf.sock": { kind: "unix", path: "/var/run/wolf.sock" },
    "unix:/with space": { kind: "unix", path: "/with space" },
    "localhost:8080": { kind: "tcp", host: "localhost", port: 8080 },
    "127.0.0.1:1": { kind: "tcp", host: "127.0.0.1", port: 1 },
    "[::1]:65535": { kind: "tcp", host: "::1", port: 65_535 },
    "[fe80::1%eth0]:80": { kind: "tcp", host: "fe80::1%eth0", port: 80 },
    "[fe80::1%eth0.100]:80": { kind: "tcp", host: "fe80::1%eth0.100", port: 80 },
    "[fe80::1%br-1a2b3c4d5e6f]:80": { kind: "tcp", host: "fe80::1%br-1a2b3c4d5e6f", port: 80 },
    "[fe80::1%en_0]:80": { kind: "tcp", host: "fe80::1%en_0", port: 80 },
    "http://[fe80::1%wlP2p33s0]": { kind: "tcp", host: "fe80::1%wlP2p33s0", port: 80 },
    "[fe80::1%3]:80": { kind: "tcp", host: "fe80::1%3", port: 80 },
    "tcp://wolf:9876": { kind: "tcp", host: "wolf", port: 9876 },
    "http://moonlight": { kind: "tcp", host: "moonlight", port: 80 },
    "http://moonlight:8080/": { kind: "tcp", host: "moonlight", port: 8080 },
    "http://[::1]": { kind: "tcp", host: "::1", port: 80 },
  };
  for (const [text, address] of Object.entries(good)) {
    it(`is understood as ${text}`, () => assert.deepEqual(parseTargetAddress(text), address));
  }

  it("is refused without a port, with a bad one, a relative path, another scheme or a path behind", () => {
    const bad = [
      "",
      "localhost",
      "localhost:0",
      "localhost:65536",
      "localhost:x",
      ":80",
      "unix:",
      "unix:rel.sock",
    ];
    for (const text of [
      ...bad,
      "https://h",
      "ftp://h:21",
      "http://h/path",
      "a b:80",
      "::1:80",
      "tcp://h",
      "[fe80::1%]:80",
      "[fe80::1%a b]:80",
    ]) {
      assert.throws(() => parseTargetAddress(text), isConfigInvalid, text);
    }
  });

  it("is an address or our error for any text", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((rest) => `tcp://${rest}:80`),
        ),
        (text) => {
          try {
            parseTargetAddress(text);
          } catch (error) {
            assert.ok(isConfigInvalid(error));
          }
        },
      ),
    );
  });
});

describe("a target on the command line", () => {
  it("is NAME=ADDRESS, with how it speaks HTTP behind it", () => {
    assert.deepEqual(parseTarget("web=localhost:80"), {
      name: "web",
      address: { kind: "tcp", host: "localhost", port: 80 },
      http: "auto",
    });
    assert.equal(parseTarget("web=localhost:80;http=1.1").http, "1.1");
    assert.equal(parseTarget("grpc=localhost:50051;http=2").http, "2");
    assert.equal(parseTarget("wolf=unix:/w.sock").http, "1.0"); // Wolf refuses chunked bodies
    assert.equal(parseTarget("wolf=unix:/w.sock;http=auto").http, "auto");
    assert.equal(parseTarget("web=localhost:80").rewrite, undefined);
    assert.equal(parseTarget("web=localhost:80;rewrite=on").rewrite, undefined);
    const both = parseTarget("web=localhost:80;rewrite=off;http=1.1");
    assert.deepEqual([both.rewrite, both.http], ["off", "1.1"]);
    for (const host of [
      "vm:33801",
      "vm",
      "App.Example.",
      "192.0.2.1:80",
      "[::1]",
      "[2001:db8::1]:8080",
      "a_b-c",
    ]) {
      assert.equal(parseTarget(`web=localhost:80;host=${host};http=1.1`).host, host);
    }
    assert.deepEqual(parseTarget("a=unix:/x=y").address, { kind: "unix", path: "/x=y" });
  });

  it("is refused without a name, with a bad one, or with an unknown option", () => {
    for (const text of [
      "",
      "web",
      "=localhost:80",
      "Web=localhost:80",
      "web=localhost:80;http=3",
      "web=localhost:80;rewrite=no",
      "web=h:1;x",
      "web=h:1;host=",
      "web=h:1;host=vm:",
      "web=h:1;host=vm:0",
      "web=h:1;host=vm:65536",
      "web=h:1;host=http://vm",
      "web=h:1;host=u@vm",
      "web=h:1;host=vm/x",
      "web=h:1;host=a b",
      "web=h:1;host=vm\r\nX: y",
      "web=h:1;host=[::1",
      "web=h:1;host=256.256.256.256",
      `web=h:1;host=${"x".repeat(262)}`,
    ]) {
      assert.throws(() => parseTarget(text), isConfigInvalid, text);
    }
  });
});

describe("runners", () => {
  const targets = (count: number): Target[] =>
    Array.from({ length: count }, (_, n) => ({
      name: `t${n}`,
      address: { kind: "unix", path: "/x" },
      http: "auto",
    }));

  it("are refused when one is listed twice, misnamed, or there are too many", () => {
    checkRunners([{ id: "a", targets: targets(MAX_TARGETS_PER_RUNNER) }]);
    const many = Array.from({ length: MAX_RUNNERS_PER_CONNECTION + 1 }, (_, n) => ({
      id: `r${n}`,
      targets: [],
    }));
    for (const runners of [
      many,
      [{ id: "A", targets: [] }],
      [
        { id: "a", targets: [] },
        { id: "a", targets: [] },
      ],
      [{ id: "a", targets: [...targets(1), ...targets(1)] }],
      [{ id: "a", targets: targets(MAX_TARGETS_PER_RUNNER + 1) }],
    ]) {
      assert.throws(() => checkRunners(runners), isConfigInvalid);
    }
  });

  it("are described by names and never by addresses", () => {
    const described = describeRunner({ id: "a", targets: targets(1) });
    assert.deepEqual(described, { id: "a", targets: [{ name: "t0", http: "auto" }] });
  });
});
