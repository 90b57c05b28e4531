/**
 * Trap: `stream.close(code)` sends END_STREAM before RST_STREAM, so the peer sees a clean end; `destroy()` without an
 * error resets with NO_ERROR. Unix sockets and TLS have no reset of their own (resetAndDestroy() throws there).
 * Guards: `splice()` and `abort()` in src/wire/streams/splice.ts; `TunnelSocket._destroy` in src/wire/streams/tunnel-socket.ts.
 */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { after, describe, it } from "node:test";
import type { TunnelSocket } from "../../src/wire/streams/tunnel-socket.ts";
import { relayTo } from "../support/agent-streams.ts";
import { ending, eventually, next } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair } from "../support/session-pair.ts";
import type { SessionPair } from "../support/session-pair.ts";
import { startTarget } from "../support/target.ts";

after(() => assertNothingOpen());

interface Ends {
  consumer: TunnelSocket;
  target: Socket;
  pair: SessionPair;
}

/** A conversation in which each side has sent one word, so that both are established. */
async function talk(on: "tcp" | "unix", test: (ends: Ends) => Promise<void>): Promise<void> {
  await using server = await startTarget(undefined, { on });
  await using pair = await openSessionPair({ onStream: relayTo(server.address) });
  const consumer = pair.tunnel();
  consumer.write("ask");
  const target = await server.accepted();
  await next(target, "data");
  target.pause();
  target.write("response");
  await next(consumer, "data");
  consumer.pause();
  await test({ consumer, target, pair });
  target.destroy();
  await eventually(() => consumer.destroyed, "the end of the consumer's socket");
}

/** The first half of the conversation ends, and the other side has seen it. */
async function finish(from: { end(): unknown }, to: Socket | TunnelSocket): Promise<void> {
  const seen = next(to, "end");
  to.resume();
  from.end();
  await seen;
}

/** A target that has read the consumer's FIN meets the reset when it writes. */
async function writeUntilError(target: Socket): Promise<string | undefined> {
  const failed = next<[NodeJS.ErrnoException]>(target, "error");
  const more = setInterval(() => target.write("more"), 1);
  const [error] = await failed;
  clearInterval(more);
  return error.code;
}

for (const on of ["tcp", "unix"] as const) {
  describe(`between a consumer and a target on ${on}`, () => {
    it("passes FIN on, whichever side says it first", async () => {
      await talk(on, async ({ consumer, target }) => {
        await finish(consumer, target);
        const end = ending(consumer);
        target.end("final bytes");
        assert.deepEqual((await end).data.toString(), "final bytes");
      });
      await talk(on, async ({ consumer, target }) => {
        await finish(target, consumer);
        const end = ending(target);
        consumer.end("final bytes");
        assert.deepEqual([(await end).kind, (await end).data.toString()], ["end", "final bytes"]);
      });
    });

    const abortions: Record<string, (consumer: TunnelSocket) => void> = {
      "destroy(error)": (consumer) => consumer.destroy(new Error("test")),
      "destroy()": (consumer) => consumer.destroy(),
    };
    for (const [how, abort] of Object.entries(abortions)) {
      it(`resets the target when the consumer calls ${how}`, async () => {
        await talk(on, async ({ consumer, target }) => {
          const end = ending(target);
          abort(consumer);
          // A Unix socket knows no reset: its close is all that there is to see.
          assert.equal((await end).code, on === "tcp" ? "ECONNRESET" : undefined);
        });
      });

      it(`resets the target when the consumer calls ${how} after the target's FIN`, async () => {
        await talk(on, async ({ consumer, target }) => {
          await finish(target, consumer);
          const end = ending(target);
          abort(consumer);
          assert.equal((await end).code, on === "tcp" ? "ECONNRESET" : undefined);
        });
      });
    }

    it("gives the consumer an error when the agent's stream is aborted, also after the consumer's FIN", async () => {
      for (const half of [false, true]) {
        await talk(on, async ({ consumer, target, pair }) => {
          if (half) await finish(consumer, target);
          const end = ending(consumer);
          pair.agent.destroy(new Error("test"));
          assert.deepEqual([(await end).kind, (await end).code], ["error", "tunnel_lost"]);
        });
      }
    });

    it("resets the target when the tunnel dies, also after a FIN of either side", async () => {
      for (const first of ["nobody", "consumer", "target"] as const) {
        await talk(on, async ({ consumer, target, pair }) => {
          if (first === "consumer") await finish(consumer, target);
          if (first === "target") await finish(target, consumer);
          const lost = first === "target" ? undefined : ending(consumer);
          const end = first === "consumer" ? undefined : ending(target);
          pair.carrier.control.destroy();
          if (lost !== undefined) assert.equal((await lost).kind, "error");
          if (end !== undefined) assert.equal((await end).code, on === "tcp" ? "ECONNRESET" : undefined);
          else assert.match((await writeUntilError(target)) ?? "", /^(ECONNRESET|EPIPE)$/);
        });
      }
    });
  });
}

describe("a target that resets its connection", () => {
  it("is an error at the consumer", async () => {
    await talk("tcp", async ({ consumer, target }) => {
      const end = ending(consumer);
      target.resetAndDestroy();
      assert.deepEqual([(await end).kind, (await end).code], ["error", "target_closed"]);
    });
  });

  it("is an error at the consumer that has ended its own half", async () => {
    await talk("tcp", async ({ consumer, target }) => {
      await finish(consumer, target);
      const end = ending(consumer);
      target.resetAndDestroy();
      assert.deepEqual([(await end).kind, (await end).code], ["error", "target_closed"]);
    });
  });
});
