import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { rewriteLocation } from "./location-fields.ts";
import type { Place } from "./mount.ts";
import { startStopwatch } from "../../../test/support/stopwatch.ts";

const PREFIX = "/front/api/v1/runners/r/targets/t";

const PLACE: Place = {
  path: PREFIX,
  mount: { path: "/api/v1/runners/r/targets/t", targetPath: "" },
  hosts: { requested: "localhost", known: "cp.example:8443" },
  requestPath: "/app/page?x=1",
};

const WOLF: Place = {
  ...PLACE,
  path: "/api/v1/wolf",
  mount: { path: "/api/v1/wolf", targetPath: "/api/v1", query: "wolf_instance_id=b" },
  requestPath: "/api/v1/apps",
};

describe("Location", () => {
  const location = (value: string, place: Place = PLACE) => rewriteLocation("location", value, place);

  it("leads back through the route where it names the target", () => {
    for (const [value, expected] of [
      ["/signin", "/signin"],
      ["/", "/"],
      ["/a?b=/c#d", "/a?b=/c#d"],
      ["/a//b", "/a//b"],
      ["/../../x", "/x"],
      ["/a/%2e%2e/..", "/"],
      ["http://localhost:3000/dir/", "/dir/"],
      ["https://LOCALHOST/dir/", "/dir/"],
      ["http://127.0.0.1:1/x", "/x"],
      ["http://127.1/x", "/x"],
      ["http://[::1]:3000/x", "/x"],
      ["http://0.0.0.0:3000", "/"],
      ["http://[::ffff:127.0.0.1]:3000/x", "/x"],
      ["http://[::ffff:7f00:1]/x", "/x"],
      ["http://[0:0:0:0:0:ffff:127.9.9.9]/x", "/x"],
      ["http://[::ffff:0.0.0.0]/x", "/x"],
      ["http://app.localhost:3000/x", "/x"],
      ["http://a.b.LOCALHOST./x", "/x"],
      ["http://localhost.localdomain:3000/x", "/x"],
      ["http://localhost6.localdomain6/x", "/x"],
      ["http://ip6-localhost:3000/x", "/x"],
      ["http://ip6-loopback/x", "/x"],
      ["http://localhost?a", "/?a"],
      ["http://user:pw@localhost/x", "/x"],
      ["//localhost:3000/x", "/x"],
      ["\\\\localhost/x", "/x"],
      ["https://cp.example:8443/x", "/x"],
      ["http://cp.example:8443/x", "/x"],
      ["//CP.example:8443", "/"],
      ["../../x", "/x"],
      ["../../../x?y#z", "/x?y#z"],
    ] as const) {
      assert.equal(location(value), `${PREFIX}${expected}`, value);
    }
  });

  it("leads back where it names the requested host: with a port that port only, without one any", () => {
    const requested = (host: string): Place => ({ ...PLACE, hosts: { ...PLACE.hosts, requested: host } });
    for (const [host, value, isOwn] of [
      ["vm:33801", "http://vm:33801/x", true],
      ["vm:33801", "https://u:p@VM:33801/x", true],
      ["vm:33801", "http://vm:33802/x", false],
      ["vm:33801", "http://vm/x", false],
      ["vm:33801", "http://vm.example:33801/x", false],
      ["vm:80", "http://vm/x", true],
      ["vm:443", "https://vm/x", true],
      ["vm", "http://vm:33801/x", true],
      ["vm", "http://vm/x", true],
      ["[2001:db8::1]:8080", "http://[2001:DB8:0::1]:8080/x", true],
      ["[2001:db8::1]:8080", "http://[2001:db8::1]/x", false],
      ["vm:33801", "http://localhost:3000/x", true],
    ] as const) {
      assert.equal(location(value, requested(host)), isOwn ? `${PREFIX}/x` : value, `${host} ${value}`);
    }
  });

  it("stays where it leads to the right place already", () => {
    for (const value of [
      "",
      "dir/",
      "./dir",
      "../x",
      "?a=b",
      "#top",
      PREFIX,
      `${PREFIX}/x`,
      `${PREFIX}?x`,
      `https://cp.example:8443${PREFIX}/x`,
    ]) {
      assert.equal(location(value), value, value);
    }
    assert.equal(
      location(`http://localhost${PREFIX}/x`),
      `${PREFIX}/x`,
      "it knows its path, but not its host",
    );
    assert.equal(location(`${PREFIX}x`), `${PREFIX}${PREFIX}x`, "another path that begins alike");
  });

  it("is unchanged where it leads to another origin", () => {
    for (const value of [
      "https://example.com/x",
      "//example.com/x",
      "/\\example.com/x",
      "https://cp.example/x",
      "https://cp.example:9/x",
      "https://localhost.example.com/",
      "https://notlocalhost/",
      "https://app.localhost.example/",
      "https://localdomain/",
      "http://[::ffff:192.0.2.1]/",
      "http://[::7f00:1]/",
      "https://localhost@example.com/",
      "http://[::2]/",
      "http://:80:80/",
      "mailto:a@localhost",
      "app://localhost/x",
    ]) {
      assert.equal(location(value), value, value);
    }
  });

  it("knows the authority's port by either scheme", () => {
    const place = { ...PLACE, hosts: { requested: "localhost", known: "cp.example" } };
    for (const value of ["https://cp.example:443/x", "http://cp.example:80/x", "http://cp.example/x"]) {
      assert.equal(location(value, place), `${PREFIX}/x`, value);
    }
  });

  it("is mapped to a route with other paths and a parameter of its own, or left out", () => {
    for (const [value, expected] of [
      ["/api/v1/lobbies", "/api/v1/wolf/lobbies?wolf_instance_id=b"],
      ["http://localhost/api/v1/x?a=1#b", "/api/v1/wolf/x?a=1&wolf_instance_id=b#b"],
      ["lobbies", "/api/v1/wolf/lobbies?wolf_instance_id=b"],
      ["/other", undefined],
      ["/api/v10/x", undefined],
      ["http://localhost/", undefined],
      ["https://example.com/api/v1/x", "https://example.com/api/v1/x"],
    ] as const) {
      assert.equal(location(value, WOLF), expected, value);
    }
  });

  it("stays as it is where nothing is rewritten", () => {
    for (const value of ["/signin", "http://localhost:3000/"]) {
      assert.equal(rewriteLocation("location", value, undefined), value);
    }
  });

  it("may be there several times", () => {
    assert.deepEqual(rewriteLocation("content-location", ["/a", "b"], PLACE), [`${PREFIX}/a`, "b"]);
    assert.deepEqual(rewriteLocation("location", ["/a"], WOLF), undefined);
  });
});

describe("Refresh", () => {
  const refresh = (value: string, place: Place | undefined = PLACE) =>
    rewriteLocation("refresh", value, place);

  it("leads back through the route", () => {
    for (const [value, expected] of [
      ["5", "5"],
      ["0.5", "0.5"],
      ["5; url=/next", `5; url=${PREFIX}/next`],
      ["5;URL='http://localhost:3000/next' x", `5;URL='${PREFIX}/next'`],
      ['0, url = "/next"', `0, url = "${PREFIX}/next"`],
      ["5 /next", `5 ${PREFIX}/next`],
      ["5; url=next", "5; url=next"],
      [`5; url=https://cp.example:8443${PREFIX}/`, `5; url=https://cp.example:8443${PREFIX}/`],
    ] as const) {
      assert.equal(refresh(value), expected, value);
    }
  });

  it("leads to no other host", () => {
    for (const value of [
      "0; url=https://evil.example",
      "0;url='//evil.example'",
      "0 \\\\evil.example",
      "0; url=javascript:alert(1)",
      "now; url=/x",
    ]) {
      assert.equal(refresh(value), undefined, value);
      if (!value.startsWith("now"))
        assert.equal(rewriteLocation("refresh", value, undefined), undefined, value);
    }
    assert.equal(rewriteLocation("refresh", "5; url=/next", undefined), "5; url=/next");
  });
});

describe("whatever they hold", () => {
  it("takes time in proportion to its length", () => {
    const stopwatch = startStopwatch();
    for (const piece of ["<", '"', "../", "/..", "a;", "\\\\", " "]) {
      rewriteLocation("refresh", `5; url=${piece.repeat(16_000)}`, PLACE);
      rewriteLocation("refresh", piece.repeat(16_000), PLACE);
      rewriteLocation("location", piece.repeat(16_000), PLACE);
    }
    assert.ok(stopwatch.elapsedMs() < 5_000);
  });
});
