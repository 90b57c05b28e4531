/**
 * HTTP/2 streams are ended in one place, because node:http2 can otherwise loop endlessly (docs/traps.md). A failing line
 * reads like `src/agent/connection/connection-slot.ts:12 stream.destroy`.
 */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { findBareEndings } from "./support/http2-endings.ts";

const ROOT = path.join(import.meta.dirname, "..");
/** The page runs in a browser, which has no such streams. */
const SOURCES = globSync("src/**/*.ts", { cwd: ROOT }).filter(
  (file) => !file.endsWith(".test.ts") && !file.startsWith("src/dashboard/"),
);

const ENDED = "ends it past the guard";
/** Takes the place of a file that nobody imports. */
const WRONG = "test/support/logger.child.ts";
const WRONG_TEXT = `
import http2, { connect } from "node:http2";
import type { ClientHttp2Session, Http2ServerRequest, Http2ServerResponse, Http2Stream } from "node:http2";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { Agent } from "http2-wrapper";
import { guardHttp2Session } from "../../src/wire/streams/end-stream.ts";

interface Own extends Http2Stream { own: true }

export function end(
  stream: Http2Stream,
  own: Own,
  either: Duplex | Http2Stream,
  response: ServerResponse | Http2ServerResponse,
  request: IncomingMessage | Http2ServerRequest,
  session: ClientHttp2Session,
): void {
  stream.destroy();
  stream.close(8);
  own?.destroy(new Error());
  either.destroy();
  response.destroy();
  if ("stream" in request) request.stream.destroy();
  session.destroy();
  process.on("exit", stream.destroy);
  stream["destroy"]();
  void stream[Symbol.asyncDispose]();
  const { close } = stream;
  close();
}
export const a = (): unknown => http2.connect("http://a");
export const b = (): unknown => connect("http://b");
export const c = (): unknown => http2.createServer();
export const d = (): unknown => http2.performServerHandshake(process.stdin);
export const e = (): unknown => new Agent();
export const fine = (): void => guardHttp2Session(http2.connect("http://b"));
export function alsoFine(socket: Duplex, response: ServerResponse, session: ClientHttp2Session): void {
  socket.destroy();
  response.destroy();
  session.close();
}
`;

describe("HTTP/2 streams", () => {
  const found = findBareEndings([...SOURCES, WRONG], { [WRONG]: WRONG_TEXT });
  const wrong = found.filter(({ file }) => file === WRONG);

  it("are ended by src/wire/streams/end-stream.ts only, and every session that is made is guarded", () => {
    const elsewhere = found.filter(({ file }) => file !== WRONG);
    assert.deepEqual(
      elsewhere.map(({ file, line, text, why }) => `${file}:${line} ${text}: ${why}`),
      [],
    );
  });

  it("are found wherever they are ended, by whatever name and type", () => {
    assert.deepEqual(
      wrong.filter(({ why }) => why === ENDED).map(({ text }) => text),
      [
        "stream.destroy",
        "stream.close",
        "own?.destroy",
        "either.destroy",
        "response.destroy",
        "request.stream.destroy",
        "session.destroy",
        "stream.destroy",
        'stream["destroy"]',
        "stream[Symbol.asyncDispose]",
        "close",
      ],
    );
  });

  it("are found where their session is made without the guard", () => {
    assert.deepEqual(
      wrong.filter(({ why }) => why !== ENDED).map(({ text }) => text),
      [
        'http2.connect("http://a")',
        'connect("http://b")',
        "http2.createServer()",
        "http2.performServerHandshake(process.stdin)",
        "new Agent()",
      ],
    );
  });
});
