/** Addresses of a session's targets lead back to the routes by which they were reached. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { openCaller, PLAINTEXT_CALLERS } from "../../support/callers.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { openSocket } from "./moonlight-stand.ts";
import { newSession, startSessions } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

describe("a target's addresses", () => {
  for (const kind of PLAINTEXT_CALLERS) {
    it(`lead back to sandboxes, Wolf and Moonlight over ${kind}`, async () => {
      await using stack = new AsyncDisposableStack();
      const locations: Record<string, string> = {
        "/screenshot": "/clipboard",
        "/ws/stream": "http://localhost:9876/screenshot?x",
        "/api/v1/apps": "http://localhost/api/v1/lobbies?x=1",
        "/api/v1/outside": "/index.html",
        "/": "/stream.html",
        "/api/ws/stream": "/api/hosts",
      };
      const target = await startRawTarget(({ socket, head }) => {
        const path = head.split(/[ ?]/, 2)[1] ?? "";
        socket.end(
          `HTTP/1.1 302 Found\r\nLocation: ${locations[path] ?? ""}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
        );
      });
      stack.defer(() => target.close());
      const stand = stack.use(await startSessions({ helix: { moonlightCredentials: "secret" } }));
      const { id, runner } = await newSession(stand.url);
      await stand.system.addAgent({
        "wolf-b": { wolf: target.address },
        "moonlight-a": { moonlight: target.address },
        [runner]: { screenshot: target.address },
      });
      const caller = stack.use(await openCaller(kind, stand.system));
      const agent = `/api/v1/external-agents/${id}`;
      const way = kind === "HTTP/1.1" ? "HTTP/1.1 Upgrade" : "RFC 8441";
      for (const [path, expected, isWebSocket] of [
        [`${agent}/screenshot`, `${agent}/clipboard`],
        [`${agent}/ws/stream`, `${agent}/screenshot?x`, true],
        ["/api/v1/wolf/apps?wolf_instance_id=b", "/api/v1/wolf/lobbies?x=1&wolf_instance_id=b"],
        ["/api/v1/wolf/outside?wolf_instance_id=b", undefined],
        [`/moonlight/?session_id=${id}`, `/moonlight/stream.html?session_id=${id}`],
        [`/moonlight/api/ws/stream?session_id=${id}`, `/moonlight/api/hosts?session_id=${id}`, true],
      ] as const) {
        const headers =
          isWebSocket === true
            ? await (async () => {
                await using socket = await openSocket(way, stand.url, path, { token: ADMIN_TOKEN });
                return socket.headers;
              })()
            : (await caller.call({ path })).headers;
        assert.equal(headers["location"], expected, path);
      }
      const prefixes = target.heads.map((head) => /^x-forwarded-prefix: (.*)$/im.exec(head)?.[1]);
      assert.deepEqual(
        prefixes.filter((prefix) => prefix !== undefined),
        [agent, agent],
      );
    });
  }
});
