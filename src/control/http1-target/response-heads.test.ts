import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countWork } from "../../../test/support/count-work.ts";
import { MAX_RESPONSE_HEADER_BYTES } from "../limits.ts";
import { ResponseHeads } from "./response-heads.ts";

const FINAL = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
const CONTINUE = "HTTP/1.1 100 Continue\r\nX: y\r\n\r\n";
const HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";

const CHUNKED = "HTTP/1.1 200 OK\r\nConnection: close\r\ntransfer-encoding:  Chunked \r\n\r\n";
const CODED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
const NO_CONTENT = "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n";
const TRAILER = "Content-Length: 9\r\n\r\n";
const LOOKALIKE = "18\r\n0\r\nContent-Length: 9\r\n\r\n\r\n";

/** What the parser gets, with the bytes cut into pieces of `size`. */
function passed(text: string, size: number): string {
  const heads = new ResponseHeads();
  heads.expect();
  const bytes = Buffer.from(text, "latin1");
  let out = "";
  for (let from = 0; from < bytes.length; from += size) {
    out += heads.feed(bytes.subarray(from, from + size)).toString("latin1");
  }
  return out;
}

const CASES: readonly (readonly [what: string, given: string, expected: string])[] = [
  ["a response as it is", `${FINAL}ok`, `${FINAL}ok`],
  ["no 100", `${CONTINUE}${CONTINUE}${FINAL}ok`, `${FINAL}ok`],
  ["other informational responses", `${HINTS}${CONTINUE}${HINTS}${FINAL}ok`, `${HINTS}${HINTS}${FINAL}ok`],
  ["lines with LF alone", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", `${FINAL}ok`],
  [
    "both kinds of line",
    "HTTP/1.0 200 OK\r\nA: b\nC: d\r\n\nok",
    "HTTP/1.0 200 OK\r\nA: b\r\nC: d\r\n\r\nok",
  ],
  ["content that looks like a 100", `${FINAL}${CONTINUE}\n\n`, `${FINAL}${CONTINUE}\n\n`],
  ["content of LF", `${FINAL}\n\r\n`, `${FINAL}\n\r\n`],
  [
    "an informational response without what would end the connection",
    `HTTP/1.1 103 E\r\nConnection: close\r\n X\r\nlink: a\r\nKEEP-ALIVE : b\r\nContent-Length: 5\r\n\r\n${FINAL}ok`,
    `HTTP/1.1 103 E\r\nlink: a\r\n\r\n${FINAL}ok`,
  ],
  [
    "a trailer section without what would frame a message",
    `${CHUNKED}3;a=b\r\n0\r\n\r\n0\r\nContent-Length: 9\r\nX-Sum: 1\r\nConnection: close\r\nUpgrade: h2c\r\n\r\n`,
    `${CHUNKED}3;a=b\r\n0\r\n\r\n0\r\nX-Sum: 1\r\n\r\n`,
  ],
  [
    "content that looks like a trailer section",
    `${CHUNKED}${LOOKALIKE}0\r\n\r\n`,
    `${CHUNKED}${LOOKALIKE}0\r\n\r\n`,
  ],
  ["chunks that are none", `${CHUNKED}x\r\n0\r\n${TRAILER}`, `${CHUNKED}x\r\n0\r\n${TRAILER}`],
  ["chunks with LF alone", `${CHUNKED}0\n${TRAILER}`, `${CHUNKED}0\n${TRAILER}`],
  ["another coding", `${CODED}0\r\n${TRAILER}`, `${CODED}0\r\n${TRAILER}`],
  ["a 204 that says chunked", `${NO_CONTENT}0\r\n${TRAILER}`, `${NO_CONTENT}0\r\n${TRAILER}`],
  ["garbage", "SSH-2.0-x\nHTTP/1.1 100\n", "SSH-2.0-x\nHTTP/1.1 100\n"],
  ["a status that is none", "HTTP/1.1 1x0 a\n\n", "HTTP/1.1 1x0 a\n\n"],
  ["a switch", "HTTP/1.1 101 S\r\n\r\nbytes\n", "HTTP/1.1 101 S\r\n\r\nbytes\n"],
];

describe("the parser gets", () => {
  for (const [what, given, expected] of CASES) {
    it(what, () => {
      for (const size of [1, 2, 3, 7, 11, 12, 13, 50, 1_000])
        assert.equal(passed(given, size), expected, `${size}`);
    });
  }

  it("more 100s than anyone sends, to refuse them", () => {
    assert.match(passed(CONTINUE.repeat(1_001), 64_000), /^HTTP\/1\.1 100/);
  });

  it("unsolicited bytes as they are", () => {
    assert.equal(new ResponseHeads().feed(Buffer.from(CONTINUE)).toString(), CONTINUE);
  });

  it("bytes of which it is known that they have come, and the reason phrase as it is", () => {
    const heads = new ResponseHeads();
    heads.expect();
    assert.deepEqual([heads.hasBegun, heads.reason], [false, undefined]);
    for (const byte of Buffer.from(`${HINTS}HTTP/1.1 200 \xe9t\xe9 \r\n`, "latin1"))
      heads.feed(Buffer.from([byte]));
    assert.deepEqual([heads.hasBegun, heads.reason], [true, "\xe9t\xe9 "]);
    heads.expect();
    assert.deepEqual([heads.hasBegun, heads.reason], [false, undefined]);
  });

  it("whole lines, for a constant amount of work for each byte, however small the pieces are", () => {
    for (const length of [1_000, 60_000]) {
      const text = `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(length)}\r\n\r\n`;
      const pieces = Array.from(Buffer.from(text), (byte) => Buffer.from([byte]));
      const heads = new ResponseHeads();
      heads.expect();
      const passed: string[] = [];
      const work = countWork(() => {
        for (const piece of pieces) {
          const bytes = heads.feed(piece);
          if (bytes.length > 0) passed.push(bytes.toString());
        }
      });
      assert.deepEqual(passed, [...text.matchAll(/.*\r\n/g)].map(String));
      assert.ok(work < 20 * pieces.length, `${work} for ${pieces.length} bytes`);
    }
  });

  it("a line that is longer than any header, to refuse it", () => {
    const text = `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(MAX_RESPONSE_HEADER_BYTES)}`;
    for (const size of [1_000, 100_000]) assert.equal(passed(text, size), text, `${size}`);
  });
});
