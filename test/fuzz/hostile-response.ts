/** Responses that no well-behaved server sends, as bytes; and whether their content is complete. */
import type { Random } from "./random.ts";

const NAMES = [
  "ETag", "Date", "Location", "Age", "Content-Type", "Content-Type", "Set-Cookie", "Link", "Connection", "Keep-Alive",
  "TE", "Upgrade", "HTTP2-Settings", "Proxy-Connection", "Trailer", "Content-Disposition", "Retry-After", "X-A",
  "__proto__", "constructor", ":status", "x y", "", "\x80", "Transfer-Encoding", "Content-Encoding", "Refresh",
  "WWW-Authenticate", "Proxy-Status", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol",
]; // prettier-ignore
const VALUES = [
  "", " ", "a", '"a"', "x, y", "close", "keep-alive, x-a", "chunked", "text/html", "\x80\xff", "a\tb", "a\0b", "/x",
  "turnabout; error=x", "</a>; rel=preload", "http://localhost:1/", "5", "-1", "\t pad \t", "a\r\n b",
]; // prettier-ignore
const STATUSES = [
  200, 200, 200, 201, 204, 205, 206, 301, 304, 400, 401, 404, 500, 503, 599, 600, 999, 99, 0, 1000,
];
const INFORMATIONAL = [100, 101, 102, 103, 103, 104, 199];
const MARK = "0123456789";

function fields(random: Random, max: number): string {
  let text = "";
  for (let n = random.int(max); n > 0; n -= 1) {
    const value = random.chance(40) ? "v".repeat(random.int(70_000)) : random.pick(VALUES);
    text += `${random.pick(NAMES)}: ${value}${random.chance(15) ? "\n" : "\r\n"}`;
  }
  return text;
}

export interface HostileResponse {
  /** Written one after the other. */
  pieces: string[];
  /** How the connection ends behind them. */
  end: "keep" | "end" | "reset";
  /** The content, if it is framed and left out in part: a caller must never take it for complete. */
  cut: boolean;
}

export function hostileResponse(random: Random): HostileResponse {
  const version = random.pick(["1.1", "1.1", "1.1", "1.0", "2.0"]);
  let text = "";
  for (let n = random.int(4); n > 0; n -= 1) {
    if (random.chance(3)) text += `HTTP/1.1 ${random.pick(INFORMATIONAL)} X\r\n${fields(random, 3)}\r\n`;
  }
  const reason = random.pick(["OK", "", "\x80\xff", "a\tb", "a\x01b", "x".repeat(300)]);
  text += `HTTP/${version} ${random.pick(STATUSES)} ${reason}\r\n${fields(random, 6)}`;
  const content = MARK.repeat(random.int(200));
  const cut = random.chance(4);
  const sent = cut ? content.slice(0, Math.floor(content.length / 2)) : content;
  if (random.chance(2)) text += `Content-Length: ${content.length + (cut ? 1 : 0)}\r\n\r\n${sent}`;
  else {
    text += "Transfer-Encoding: chunked\r\n\r\n";
    if (sent !== "") text += `${sent.length.toString(16)}\r\n${sent}\r\n`;
    if (!cut) text += `0\r\n${random.chance(2) ? fields(random, 4) : ""}\r\n`;
  }
  if (random.chance(8)) text = random.bytes(random.int(100));
  const at = random.int(text.length + 1);
  const pieces = random.chance(2) ? [text] : [text.slice(0, at), text.slice(at)];
  return {
    pieces,
    cut,
    end: cut ? random.pick(["end", "reset"]) : random.pick(["keep", "keep", "end", "reset"]),
  };
}
