/**
 * Sessions that end behind a header block which their peer has broken off, then a collection of garbage: node aborts
 * the process there, unless the session outlives its streams. `guarded` has our guard, anything else has not.
 */
import http2 from "node:http2";
import net from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { guardHttp2Session } from "../../src/wire/streams/end-stream.ts";
import { encodeFrame, FRAME, headersFrame, uint32 } from "../support/http2-frames.ts";

const SESSIONS = 200;
/** Of the preface, SETTINGS and its acknowledgement. */
const REQUEST_AT_BYTES = 24 + 9 + 9;
const isGuarded = process.argv[2] === "guarded";
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const invalid = headersFrame(
  1,
  [
    [":status", "200"],
    ["x-some-field", "v".repeat(50)],
    [":path", "x"],
  ],
  false,
);
const unfinished = Buffer.from(
  headersFrame(
    1,
    [
      [":status", "200"],
      ["x-some-field", "v".repeat(50)],
    ],
    false,
  ),
);
unfinished[4] = 0; // no END_HEADERS
const goaway = encodeFrame(FRAME.GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(1)]));
const noIncrement = encodeFrame(FRAME.WINDOW_UPDATE, 0, 0, uint32(0));
const ping = encodeFrame(FRAME.PING, 0, 0, Buffer.alloc(8));
const ENDINGS = [
  [invalid, goaway],
  [invalid, noIncrement],
  [unfinished, ping], // where a CONTINUATION has to be
  [invalid], // and the session is destroyed in the stream's 'close'
];
let ending: readonly Buffer[] = [];

const server = net.createServer((socket) => {
  socket.on("error", () => {}); // permanent
  socket.write(encodeFrame(FRAME.SETTINGS, 0, 0, Buffer.alloc(0)));
  let seenBytes = 0;
  socket.on("data", (chunk: Buffer) => {
    // Preface and SETTINGS, and behind them the request.
    const before = seenBytes;
    seenBytes += chunk.length;
    if (before > REQUEST_AT_BYTES || seenBytes <= REQUEST_AT_BYTES) return;
    socket.write(Buffer.concat(ending));
  });
});
server.listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const { port } = server.address() as net.AddressInfo;

async function exchange(): Promise<void> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  if (isGuarded) guardHttp2Session(session);
  session.on("error", () => {}); // permanent
  const closed = new Promise<void>((resolve) => session.once("close", () => resolve()));

  const stream = session.request({ ":path": "/" });
  stream.on("error", () => {}); // permanent
  if (ending.length === 1) stream.once("close", () => session.destroy());
  await closed;
  setTimeout(() => session.destroy(), 30); // held until then, as by an owner
}

for (ending of ENDINGS) {
  for (let n = 0; n < SESSIONS; n += 1) await exchange();
  for (let n = 0; n < 5; n += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20)); // what node does in turns of its own
    collect();
  }
}
process.exit(0);
