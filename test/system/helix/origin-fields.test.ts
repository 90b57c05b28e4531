/** What a target says to a browser about the control plane's origin does not get there, on any route of the API. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { openCaller, PLAINTEXT_CALLERS } from "../../support/callers.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { openSocket } from "./moonlight-stand.ts";
import { newSession, startSessions } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

const FIELDS = [
  "Set-Cookie: access_token=stolen; Path=/",
  "Set-Cookie: own=1; Path=/",
  'Clear-Site-Data: "*"',
  "Strict-Transport-Security: max-age=31536000",
  'Alt-Svc: h3="evil.example:443"',
  "Service-Worker-Allowed: /",
  "Access-Control-Allow-Origin: https://evil.example",
  "Access-Control-Allow-Credentials: true",
  "Refresh: 0; url=https://evil.example",
  "X-End: to the end",
];
const DROPPED = [
  "clear-site-data",
  "strict-transport-security",
  "alt-svc",
  "service-worker-allowed",
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "refresh",
];

async function start(stack: AsyncDisposableStack) {
  const target = await startRawTarget(({ socket, head }) => {
    // The control plane itself asks a Wolf as well: it gets what it can read.
    const isUpgrade = /^upgrade: websocket$/im.test(head);
    socket.end(
      [
        `HTTP/1.1 ${isUpgrade ? "403 Forbidden" : "200 OK"}`,
        ...FIELDS,
        "Connection: close",
        "Content-Length: 2",
        "",
        "{}",
      ].join("\r\n"),
    );
  });
  stack.defer(() => target.close());
  const stand = stack.use(await startSessions({ helix: { moonlightCredentials: "secret" } }));
  const session = await newSession(stand.url);
  await stand.system.addAgent({
    "wolf-b": { wolf: target.address },
    "moonlight-a": { moonlight: target.address },
    [session.runner]: { screenshot: target.address },
  });
  const http = {
    "/api/v1/runners/moonlight-a/targets/moonlight/x": "/api/v1/runners/moonlight-a/targets/moonlight",
    "/api/v1/wolf/x?wolf_instance_id=b": undefined,
    [`/api/v1/external-agents/${session.id}/screenshot`]: undefined,
    [`/moonlight/?session_id=${session.id}`]: undefined,
  };
  const sockets = {
    "/api/v1/runners/moonlight-a/targets/moonlight/ws": "/api/v1/runners/moonlight-a/targets/moonlight",
    "/api/v1/wolf/ws?wolf_instance_id=b": undefined,
    [`/api/v1/external-agents/${session.id}/ws/stream`]: undefined,
    [`/moonlight/api/ws/stream?session_id=${session.id}`]: undefined,
  };
  return { stand, http, sockets };
}

function judge(headers: Record<string, unknown>, cookiePath: string | undefined, path: string): void {
  assert.equal(headers["x-end"], "to the end", path);
  for (const name of DROPPED) assert.equal(headers[name], undefined, `${name} of ${path}`);
  const expected = cookiePath === undefined ? undefined : [`own=1; Path=${cookiePath}/`];
  assert.deepEqual(headers["set-cookie"], expected, path);
}

for (const kind of PLAINTEXT_CALLERS) {
  describe(`a target's fields over ${kind}`, () => {
    it("reveal nothing about our origin", async () => {
      await using stack = new AsyncDisposableStack();
      const { stand, http, sockets } = await start(stack);
      await using caller = await openCaller(kind, stand.system);
      for (const [path, cookiePath] of Object.entries(http)) {
        const response = await caller.call({ path });
        assert.equal(response.status, 200, path);
        judge(response.headers, cookiePath, path);
      }
      for (const [path, cookiePath] of Object.entries(sockets)) {
        const way = kind === "HTTP/1.1" ? "HTTP/1.1 Upgrade" : "RFC 8441";
        await using socket = await openSocket(way, stand.url, path, { token: ADMIN_TOKEN });
        assert.equal(socket.status, 403, path);
        judge(socket.headers, cookiePath, path);
      }
      if (kind !== "HTTP/1.1") return;
      const proxied = await caller.call({
        path: "http://moonlight.moonlight-a/x",
        headers: { "proxy-authorization": `Bearer ${ADMIN_TOKEN}` },
      });
      assert.equal(proxied.headers["refresh"], "0; url=https://evil.example", "an origin of its own");
    });
  });
}
