/**
 * Trap: when carrier or HTTP/2 session go, a bare stream whose own half has ended reports a clean end, and so does one of a
 * session destroyed without an error.
 * Guards: `TunnelSocket` in src/wire/streams/tunnel-socket.ts looks at rstCode and aborted one turn after 'end'; sessions are
 * only ever destroyed with an error (`destroyHttp2Session()` in src/wire/session/reversed-session.ts).
 */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { destroyHttp2Session } from "../../src/wire/session/reversed-session.ts";
import { TEST_CARRIERS } from "../support/carriers.ts";
import { ending, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair } from "../support/session-pair.ts";
import type { SessionPair } from "../support/session-pair.ts";

after(() => assertNothingOpen());

const LOSSES: Record<string, (pair: SessionPair) => void> = {
  "the agent's carrier is destroyed": ({ carrier }) => carrier.agent.destroy(),
  "the control plane's carrier is destroyed": ({ carrier }) => carrier.control.destroy(),
  "the agent's HTTP/2 session is destroyed": ({ agent, carrier }) =>
    destroyHttp2Session(agent, carrier.agent, new Error("test")),
  "the control plane's HTTP/2 session is destroyed": ({ control, carrier }) =>
    destroyHttp2Session(control, carrier.control, new Error("test")),
};

for (const carrier of TEST_CARRIERS) {
  describe(`a consumer in the middle of a response on ${carrier}`, () => {
    for (const [what, lose] of Object.entries(LOSSES)) {
      it(`sees an error when ${what}, before and after its own end`, async () => {
        for (const half of [false, true]) {
          await using pair = await openSessionPair({
            carrier,
            onStream: (stream) => {
              stream.respond({ ":status": 200 });
              stream.resume();
              if (!half) stream.write("partial");
              else stream.once("end", () => stream.write("partial"));
            },
          });
          const socket = pair.tunnel();
          if (half) socket.end("ask");
          const [first] = await next<[Buffer]>(socket, "data");
          assert.equal(first.toString(), "partial");
          const end = ending(socket);
          lose(pair);
          assert.deepEqual([(await end).kind, (await end).code], ["error", "tunnel_lost"], `half: ${half}`);
        }
      });
    }
  });
}
