import assert from "node:assert/strict";
import { it } from "node:test";
import { MAX_REMEMBERED_STREAMS, MAX_STREAM_ID_LENGTH, OPENED_STREAMS_PER_SESSION } from "../limits.ts";
import { OpenedStreams } from "./opened-streams.ts";

it("a stream is its first session's, on each instance", () => {
  const opened = new OpenedStreams();
  const of = (id: string, instanceId = "a") => opened.of({ id, instanceId });
  of("ses_1").add("browser-1");
  of("ses_2").add("browser-1");
  of("ses_3", "b").add("browser-1");
  assert.deepEqual(
    [of("ses_1"), of("ses_2"), of("ses_3", "b"), of("ses_4")].map((streams) => streams.has("browser-1")),
    [true, false, true, false],
  );
});

it("what is remembered is bounded, and no session loses its streams to another's", () => {
  const opened = new OpenedStreams();
  const [one, two] = ["ses_1", "ses_2"].map((id) => opened.of({ id, instanceId: "a" }));
  two?.add("theirs");
  for (let n = 0; n <= OPENED_STREAMS_PER_SESSION; n += 1) one?.add(`browser-${n}`);
  assert.deepEqual([one?.has("browser-0"), one?.has("browser-1"), two?.has("theirs")], [false, true, true]);
  const long = "x".repeat(MAX_STREAM_ID_LENGTH + 1);
  one?.add(long);
  assert.equal(one?.has(long), false);
  for (let n = 0; n < MAX_REMEMBERED_STREAMS; n += 1) {
    opened.of({ id: `ses_x${n}`, instanceId: "a" }).add(`x${n}`);
  }
  assert.deepEqual(
    [one?.has("browser-1"), two?.has("theirs")],
    [false, false],
    "the oldest sessions go first",
  );
});
