import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Dispatcher } from "undici";
import { Guard } from "../../wire/streams/guard.ts";
import { ContentTurns } from "../shares/content-turns.ts";
import { ExchangeTurns } from "../shares/exchange-turns.ts";
import { BULK_RESPONSE_BYTES, SMALL_PIECES_PER_TURN } from "../shares/limits.ts";
import { ContentFlow } from "./content-flow.ts";

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const PIECE = Buffer.from("x");

/** A response's flow, and whether it is paused. @param framed bytes that have come with their framing */
function start(framed = 0) {
  const state = { paused: false, bulk: 0 };
  const controller = {
    pause: () => (state.paused = true),
    resume: () => (state.paused = false),
  } as unknown as Dispatcher.DispatchController;
  const turns = new ExchangeTurns();
  turns.countBulk = () => void (state.bulk += 1);
  const flow = new ContentFlow({
    exchange: { received: { bytes: framed, hasBegun: true, isHttp10: false, reason: "" } },
    holder: "user a",
    shares: { contentTurns: new ContentTurns(), turns },
    guard: new Guard(assert.fail),
  });
  flow.controller = controller;
  const pass = (count: number, piece = PIECE): void => {
    for (let i = 0; i < count; i += 1) flow.passed(piece, true);
  };
  return { state, flow, pass };
}

describe("ContentFlow", () => {
  it("pauses behind many small pieces of one turn, and goes on in a later one", async () => {
    const { state, pass } = start();
    pass(SMALL_PIECES_PER_TURN - 1);
    assert.equal(state.paused, false);
    pass(1);
    assert.deepEqual(state, { paused: true, bulk: 1 });
    await turn();
    assert.equal(state.paused, false);
  });

  it("does not pause behind large pieces, nor behind small ones of many turns", async () => {
    const { state, pass } = start();
    pass(2 * SMALL_PIECES_PER_TURN, Buffer.alloc(4_096));
    for (let i = 0; i < 3; i += 1) {
      pass(SMALL_PIECES_PER_TURN - 1);
      await turn();
    }
    assert.equal(state.paused, false);
  });

  it("goes on when the caller's buffer has room and its turn has come, and not before", async () => {
    const { state, flow, pass } = start();
    pass(SMALL_PIECES_PER_TURN);
    flow.passed(PIECE, false);
    await turn();
    assert.equal(state.paused, true, "its turn has come, and the buffer is full");
    flow.drained();
    assert.equal(state.paused, false);
    pass(SMALL_PIECES_PER_TURN);
    flow.passed(PIECE, false);
    flow.drained();
    assert.equal(state.paused, true, "there is room, and its turn has not come");
    await turn();
    assert.equal(state.paused, false);
  });

  it("moves much data by what has come, framing included", () => {
    const { state, flow, pass } = start(BULK_RESPONSE_BYTES + 1);
    pass(1);
    assert.deepEqual([flow.receivedBytes, state.bulk], [BULK_RESPONSE_BYTES + 1, 1]);
    pass(1);
    assert.equal(state.bulk, 1, "once");
    const small = start(BULK_RESPONSE_BYTES);
    small.pass(1);
    assert.equal(small.state.bulk, 0);
  });
});
