import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mayUseMoonlight, moonlightPath } from "./viewer-access.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"];

/** What of all methods, and of a WebSocket, a user may do with a path. */
function allowed(path: string): string {
  const methods = METHODS.filter((method) => mayUseMoonlight(path, { method, isWebSocket: false }));
  const isSocket = mayUseMoonlight(path, { method: "GET", isWebSocket: true });
  return [...methods, ...(isSocket ? ["WebSocket"] : [])].join(" ");
}

describe("mayUseMoonlight", () => {
  it("gives a user what a viewer needs", () => {
    for (const path of [
      "/api/authenticate",
      "/api/hosts",
      "/api/apps?host_id=0&force_refresh=true",
      "/api/app/image?host_id=0&app_id=1",
      "/",
      "/?session_id=x",
      "/index.html",
      "/config.js",
      "/resources/sub-folder/a_b.worker.js?v=1.2",
      "/resources/",
    ]) {
      assert.equal(allowed(path), "GET HEAD", path);
    }
    for (const path of [
      "/api/host/stream",
      "/api/host/stream?x=1",
      "/api/host/stream/web_socket",
      "/api/ws/stream",
    ]) {
      assert.equal(allowed(path), "WebSocket", path);
    }
  });

  it("gives a user nothing else of the API, known or to come", () => {
    for (const path of [
      "/api",
      "/api/",
      "/api/host?host_id=0",
      "/api/host/cancel",
      "/api/host/wake",
      "/api/pair",
      "/api/sessions",
      "/api/admin/status",
      "/api/streamers",
      "/api/streamers/1/peer",
      "/api/users",
      "/api/apps/",
      "/api/x.json",
      "/api/ws/echo",
    ]) {
      assert.equal(allowed(path), "", path);
    }
  });

  it("gives a user nothing that could be read as another path", () => {
    for (const path of [
      "//api/sessions",
      "/x.js/../api/sessions",
      "/./api/sessions.x",
      "/../api/x.js",
      "/api%2fsessions.js",
      "/%61pi/sessions.js",
      "/API/sessions.js",
      "/x%2e%2e/api.js",
      "/x;a=b.js",
      "/x\\api\\sessions.js",
      "/.hidden",
      "/api/./apps",
      "/api//apps",
      "/api/apps%20",
      "/api/app%73",
      "/api/Apps",
      "/api/apps#.js",
      "",
      "x.js",
    ]) {
      assert.equal(allowed(path), "", path);
    }
  });
});

describe("moonlightPath", () => {
  it("finds the page's files where they are, and the API with and without /api", () => {
    for (const [rest, expected] of [
      ["", "/"],
      ["?a=1", "/?a=1"],
      ["/", "/"],
      ["/?a=/x", "/?a=/x"],
      ["/config.js", "/config.js"],
      ["/a/b.js?x", "/a/b.js?x"],
      ["/a/", "/a/"],
      ["/hosts", "/api/hosts"],
      ["/hosts?a=b.c", "/api/hosts?a=b.c"],
      ["/a.b/c", "/api/a.b/c"],
      ["/api", "/api"],
      ["/api?x", "/api?x"],
      ["/api/", "/api/"],
      ["/api/host/stream?x=1", "/api/host/stream?x=1"],
      ["/api.js", "/api.js"],
    ] as const) {
      assert.equal(moonlightPath(rest), expected, rest);
    }
  });
});
