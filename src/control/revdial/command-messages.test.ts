/** How commands are put into messages, before and after it is known how the client reads. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommandMessages } from "./command-messages.ts";
import { SMALL_MESSAGE_BYTES } from "./limits.ts";

function create(): { messages: CommandMessages; sent: string[]; confirm: () => void } {
  const sent: string[] = [];
  const waiting: (() => void)[] = [];
  const messages = new CommandMessages({
    send: (message) => sent.push(message.toString()),
    confirm: (done) => waiting.push(done),
  });
  return { messages, sent, confirm: () => waiting.shift()?.() };
}

describe("commands to a RevDial client", () => {
  it("of which nothing is known: small messages of whole lines, each when the last has been read", () => {
    const { messages, sent, confirm } = create();
    const lines = Array.from({ length: 100 }, (_, n) => `${n} ${"x".repeat(90)}\n`);
    for (const line of lines) messages.send(line);
    assert.deepEqual(sent, lines.slice(0, 1));
    for (let n = 1; messages.waitingBytes > 0; n += 1) {
      confirm();
      assert.equal(sent.length, n + 1);
    }
    assert.equal(sent.join(""), lines.join(""));
    for (const message of sent) assert.ok(message.length <= SMALL_MESSAGE_BYTES && message.endsWith("\n"));
  });

  it("that reads whole messages: at once, what has waited too", () => {
    const { messages, sent, confirm } = create();
    for (const line of ["a\n", "b\n", "c\n"]) messages.send(line);
    messages.readsWholeMessages();
    messages.send("d\n");
    confirm();
    assert.deepEqual(sent, ["a\n", "b\nc\n", "d\n"]);
    assert.equal(messages.waitingBytes, 0);
  });
});
