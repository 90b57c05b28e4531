import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RequestLine } from "./request-line-bytes.ts";

const MAX_BYTES = 100;

function escape(text: string): string | undefined {
  const bytes = Buffer.from(text, "latin1");
  const line = new RequestLine();
  let piecemeal: Buffer | undefined;
  for (let length = 1; length < bytes.length && piecemeal === undefined; length += 1) {
    piecemeal = line.escape(bytes.subarray(0, length), MAX_BYTES);
  }
  const whole = new RequestLine().escape(bytes, MAX_BYTES);
  if (piecemeal === undefined) assert.deepEqual(line.escape(bytes, MAX_BYTES), whole, "in pieces as in one");
  return whole?.toString("latin1");
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

  it("is looked for in what is new only, empty lines before it included", () => {
    const bytes = Buffer.from(`${"\r\n".repeat(20_000)}GET /${"a".repeat(20_000)}`);
    const line = new RequestLine();
    let looks = 0;
    const get = (target: Buffer, name: string | symbol): unknown => {
      if (typeof name === "string" && /^\d+$/.test(name)) looks += 1;
      if (name === "indexOf") {
        return (byte: number, from: number): number => {
          looks += target.length - from;
          return target.indexOf(byte, from);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    };
    for (let length = 100; length <= bytes.length; length += 100) {
      assert.equal(line.escape(new Proxy(bytes.subarray(0, length), { get }), Infinity), undefined);
    }
    assert.ok(looks < 3 * bytes.length, `${looks} looks at ${bytes.length} bytes`);
  });
});
