import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { escapeRequestTarget } from "./request-line-bytes.ts";

const MAX_BYTES = 100;

function escape(text: string): string | undefined {
  return escapeRequestTarget(Buffer.from(text, "latin1"), MAX_BYTES)?.toString("latin1");
}

describe("a request-target with bytes beyond ASCII", () => {
  it("is percent-encoded, byte by byte, and nothing else is touched", () => {
    assert.equal(
      escape("GET /caf\xc3\xa9?q=\xe6\x97\xa5&r=%41 HTTP/1.1\r\nX-A: \xc3\xa9\r\n\r\nb\xc3"),
      "GET /caf%C3%A9?q=%E6%97%A5&r=%41 HTTP/1.1\r\nX-A: \xc3\xa9\r\n\r\nb\xc3",
    );
  });

  it("is left as it is where there are none", () => {
    const text = "GET /a HTTP/1.1\r\nX-A: \xc3\xa9\r\n\r\n";
    assert.equal(escape(text), text);
  });

  it("is awaited to its end, but not beyond the limit of a request line", () => {
    assert.equal(escape("GET /caf\xc3"), undefined);
    for (const text of ["G", "GET /plain", "\r\n", "\r\nGET /caf\xc3 HTTP/1.1\r"])
      assert.equal(escape(text), undefined);
    const long = `GET /${"\xc3".repeat(MAX_BYTES)}`;
    assert.equal(escape(long), long);
  });

  it("is percent-encoded behind an empty line", () => {
    assert.equal(escape("\r\n\r\nGET /\xc3 HTTP/1.1\r\n"), "\r\n\r\nGET /%C3 HTTP/1.1\r\n");
  });

  it("is not awaited where no method that is known can come", () => {
    for (const text of ["\0", "GARBAGE", "get /", "GET\xc3", "\x16\x03"]) assert.equal(escape(text), text);
  });

  it("is the parser's to refuse where the line is no request line", () => {
    for (const text of ["\xc3\xa9\r\n", "GET\xc3 /\r\n", "GET /\xc3\r\n"]) assert.equal(escape(text), text);
  });
});
