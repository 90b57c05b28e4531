/** Pick-ups that wait at a relay: the longest waiting first, a bounded number, shared by address. */
import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, it } from "node:test";
import { MAX_RELAY_WAITING_PICKUPS } from "../limits.ts";
import { WaitingPickups } from "./waiting-pickups.ts";

function start() {
  const waiting = new WaitingPickups();
  const seen: string[] = [];
  const add = (name: string, peer: string, { socket = new Socket(), isRefused = false } = {}): boolean =>
    waiting.add(socket, peer, {
      retry: () => {
        seen.push(name);
        return !isRefused;
      },
      refuse: () => seen.push(`${name} refused`),
    });
  return { waiting, seen, add };
}

describe("pick-ups that wait at a relay", () => {
  it("begin one after the other, and not at all when their client has left", async () => {
    const { waiting, seen, add } = start();
    const socket = new Socket();
    add("left", "a", { socket });
    add("first", "a", { isRefused: true });
    add("second", "b");
    add("third", "a");
    socket.destroy();
    await new Promise(setImmediate);
    waiting.next();
    assert.deepEqual(seen, ["first", "second"], "one that is refused is not the next");
    assert.deepEqual([waiting.has("a"), waiting.has("b")], [true, false]);
    waiting.flush();
    waiting.next();
    assert.deepEqual(seen, ["first", "second", "third refused"]);
  });

  it("are a bounded number, of which the address with the most loses one to an address with fewer", () => {
    const { seen, add } = start();
    for (let n = 0; n < MAX_RELAY_WAITING_PICKUPS; n += 1) assert.ok(add(String(n), "many"));
    assert.equal(add("one more", "many"), false);
    assert.equal(add("other", "few"), true);
    assert.deepEqual(seen, [`${MAX_RELAY_WAITING_PICKUPS - 1} refused`]);
  });
});
