/** A WebSocket handshake that fails: the caller gets the status and never a 101. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { CALLERS, errorCode, via } from "../../support/callers.ts";
import { startDoubles, viaMoonlight } from "../../support/doubles.ts";
import { within } from "../../support/events.ts";
import { checkErrorResponse, FAILURES, startFailure, tokenOf } from "../../support/failures.ts";
import { acceptKey } from "../../support/extended-connect.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { refusedWebSocket } from "../../support/websockets.ts";

afterEach(() => assertNothingOpen());

/** RFC 9110 §7.8: a server may ignore `Upgrade`, as servers of single-page applications do. */
const IGNORED_UPGRADES: readonly (readonly [status: number, response: string, text: string])[] = [
  [
    200,
    'HTTP/1.1 200 OK\r\nX-Kept: yes\r\nProxy-Status: turnabout; details="not_found", cdn; hit\r\nTurnabout-Target-Status: 299\r\nContent-Length: 2\r\n\r\nok',
    "ok",
  ],
  [
    201,
    "HTTP/1.1 201 Created\r\nX-Kept: yes\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "ok",
  ],
  [204, "HTTP/1.1 204 No Content\r\nX-Kept: yes\r\n\r\n", ""],
  [205, "HTTP/1.1 205 Reset Content\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nok", ""],
];

for (const kind of CALLERS) {
  describe(`a WebSocket over ${kind}`, () => {
    for (const status of [401, 404, 503]) {
      it(`is refused with the target's own ${status} and body`, async () => {
        await using doubles = await startDoubles({ tls: true });
        const path = viaMoonlight(`/api/ws/refuse?status=${status}`);
        const refusal = await refusedWebSocket(kind, doubles.system, path);
        assert.equal(refusal.status, status);
        assert.equal(refusal.headers["content-type"], "application/json");
        assert.equal(refusal.headers["proxy-status"], undefined); // it is the target's word, not ours
        assert.deepEqual(JSON.parse(refusal.text), { error: "refused by the double", status });
        await within(doubles.moonlight.whenIdle(), "the target's connection closed");
      });
    }

    for (const [status, response, text] of IGNORED_UPGRADES) {
      it(`gets the ${status} of a target that ignores the upgrade, or 502 where that would mean success`, async () => {
        const target = await startRawTarget(({ socket }) => void socket.write(response));
        await using system = await startSystem({ tls: true, target });
        const refusal = await refusedWebSocket(kind, system, via("/"));
        if (kind.startsWith("HTTP/2")) {
          assert.deepEqual([refusal.status, errorCode(refusal.text)], [502, "target_protocol"]);
        } else {
          const { status: got, text: body, headers } = refusal;
          assert.deepEqual(
            [got, body, headers["x-kept"], headers.connection],
            [status, text, "yes", "close"],
          );
          assert.equal(headers["proxy-status"], status === 200 ? "cdn; hit" : undefined);
          assert.equal(headers["turnabout-target-status"], undefined);
        }
      });
    }

    it("is refused with 502 by a target that switches to something else with the right key", async () => {
      const target = await startRawTarget(({ head, socket }) => {
        const key = /^sec-websocket-key: (.*)$/im.exec(head)?.[1] ?? "";
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\nSec-WebSocket-Accept: ${acceptKey(key)}\r\n\r\n`,
        );
      });
      await using system = await startSystem({ tls: true, target });
      const refusal = await refusedWebSocket(kind, system, via("/"));
      assert.deepEqual([refusal.status, errorCode(refusal.text)], [502, "target_protocol"]);
    });

    for (const [what, response] of [
      [
        "responds with 101 and a wrong key",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
      ],
      [
        "switches to something else",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
      ],
    ]) {
      it(`is refused with 502 by a target that ${what}`, async () => {
        const target = await startRawTarget(({ socket }) => void socket.write(String(response)));
        await using system = await startSystem({ tls: true, target });
        const refusal = await refusedWebSocket(kind, system, via("/"));
        assert.deepEqual([refusal.status, errorCode(refusal.text)], [502, "target_protocol"]);
      });
    }

    for (const failure of FAILURES) {
      it(`is refused: ${failure.what}: ${failure.status} ${failure.code}`, async () => {
        await using system = await startFailure(failure);
        const token = tokenOf(failure);
        const path = via("/secret/path", failure.name ?? TARGET, failure.runner ?? RUNNER);
        const headers = {
          authorization: token === undefined ? "" : `Bearer ${token}`,
          ...(failure.timeoutS !== undefined && { "turnabout-timeout": String(failure.timeoutS) }),
        };
        checkErrorResponse(failure, await refusedWebSocket(kind, system, path, { headers }));
      });
    }
  });
}
