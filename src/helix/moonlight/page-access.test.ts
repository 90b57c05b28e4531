import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isOffer, mayUsePage, webRtcStreamOf } from "./page-access.ts";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"];
const OWN_STREAM = "4294967295";

/** What of all methods, and of a WebSocket, a user may do with a path. */
function allowed(path: string): string {
  const may = (method: string, isWebSocket: boolean): boolean =>
    mayUsePage(path, { method, isWebSocket }, (id) => id === OWN_STREAM);
  const methods = METHODS.filter((method) => may(method, false));
  return [...methods, ...(may("GET", true) ? ["WebSocket"] : [])].join(" ");
}

describe("mayUsePage", () => {
  it("gives a user what the pages of all three dialects call for one who views", () => {
    for (const [paths, expected] of [
      [
        ["/", "/stream.html?hostId=0&appId=1", "/config.js", "/a1b2.wasm", "/stream/pipeline/worker.js"],
        "GET HEAD",
      ],
      [["/api/authenticate", "/api/hosts", "/api/apps?host_id=0", "/api/app/image?host_id=0"], "GET HEAD"],
      [
        ["/api/host?host_id=0&force_refresh=true", "/api/settings/default", "/api/settings/permissions"],
        "GET HEAD",
      ],
      [["/api/user", "/api/role"], "GET HEAD"],
      [["/api/host/stream", "/api/host/stream/web_socket", "/api/ws/stream"], "WebSocket"],
      [["/api/host/stream/webrtc"], "POST OPTIONS"],
      [[`/api/host/stream/webrtc/${OWN_STREAM}`], "PATCH DELETE"],
    ] as const) {
      for (const path of paths) assert.equal(allowed(path), expected, path);
    }
  });

  it("refuses administration, what belongs to others, and what another server may read as another path", () => {
    for (const path of [
      "/api/host/cancel",
      "/api/host/wake",
      "/api/pair",
      "/api/login",
      "/api/logout",
      "/api/users",
      "/api/roles",
      "/api/user?user_id=1",
      "/api/user?",
      "/api/role?id=1",
      "/api/user/default",
      "/api/role/default",
      "/api/sessions",
      "/api/admin/status",
      "/api/host/",
      "/api/host/stream/webrtc/",
      "/api/host/stream/webrtc/1",
      "/api/host/stream/webrtc?x",
      `/api/host/stream/webrtc/${OWN_STREAM}?x`,
      `/api/host/stream/webrtc/0${OWN_STREAM}`,
      `/api/host/stream/webrtc/${OWN_STREAM}/..`,
      `/x/../api/host/stream/webrtc/${OWN_STREAM}`,
      "/api/host/stream/web_socket/",
      "//api/hosts",
      "/%61pi/hosts",
      "/api/%68osts",
      "/api/hosts/..",
      "/a.js/../api/sessions",
      "/a.js/%2e%2e/api/sessions",
      "/a.js%2f..%2fapi%2fsessions",
      "/..%5capi/x.js",
      "/.git/config.js",
    ]) {
      assert.equal(allowed(path), "", path);
    }
  });
});

describe("an offer over HTTP", () => {
  it("is a POST at one path, and its stream has an id below it", () => {
    const path = "/api/host/stream/webrtc";
    assert.equal(isOffer(path, { method: "POST", isWebSocket: false }), true);
    assert.equal(isOffer(path, { method: "OPTIONS", isWebSocket: false }), false);
    assert.equal(isOffer(path, { method: "POST", isWebSocket: true }), false);
    assert.equal(isOffer(`${path}/1`, { method: "POST", isWebSocket: false }), false);
    assert.equal(webRtcStreamOf(`${path}/17`), "17");
    assert.equal(webRtcStreamOf(`${path}/17x`), undefined);
  });
});
