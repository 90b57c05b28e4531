import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OwnPaths } from "./own-paths.ts";

const MOUNTED = ["/healthz", "/api/*", "/api/v1/runners/:id", "/desk/{path}", "/.well-known/ptth/"];

describe("OwnPaths", () => {
  it("has everything below the first segment of what is mounted, and nothing else", () => {
    const own = new OwnPaths("", MOUNTED);
    for (const url of ["/healthz", "/healthz?x", "/healthz/x", "/api", "/api/v2", "/desk/", "/desk?a=/b"]) {
      assert.equal(own.has(url), true, url);
    }
    for (const url of ["/", "", "*", "/health", "/healthzz", "//api", "/x/api", "/API", "/?/api", "/%61pi"]) {
      assert.equal(own.has(url), false, url);
    }
  });

  it("has of the well-known paths only its own", () => {
    const own = new OwnPaths("", MOUNTED);
    for (const path of ["/.well-known/ptth", "/.well-known/ptth/https%3A%2F%2Fx/", "/.well-known/ptth?x"]) {
      assert.equal(own.has(path), true, path);
    }
    for (const path of [
      "/.well-known",
      "/.well-known/",
      "/.well-known/acme-challenge/x",
      "/.well-known/ptthx",
    ]) {
      assert.equal(own.has(path), false, path);
    }
  });

  it("has the root alone where something is mounted there", () => {
    const own = new OwnPaths("/base", ["/", ...MOUNTED]);
    assert.deepEqual(
      ["/base/", "/base/?x", "/base", "/base//x", "/base/x", "/"].map((url) => own.has(url)),
      [true, true, false, false, false, false],
    );
    for (const url of ["*", "", "//api"]) assert.equal(new OwnPaths("", ["/"]).has(url), false, url);
  });

  it("is below the base path", () => {
    const own = new OwnPaths("/base", MOUNTED);
    assert.deepEqual(
      ["/base/api/x", "/base/healthz", "/api/x", "/basement/api", "/base"].map((url) => own.has(url)),
      [true, true, false, false, false],
    );
  });
});
