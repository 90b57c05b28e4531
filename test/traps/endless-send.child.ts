/**
 * Child of endless-send.test.ts: random orders of everything that can be done to HTTP/2 streams, sessions and carriers.
 *
 *     node test/traps/endless-send.child.ts RUNS [bare]       `bare`: without the guard, to see what it is for
 *     node test/traps/endless-send.child.ts '{…}' [bare]      one scenario, as it was printed
 */
import { writeSync } from "node:fs";
import http2 from "node:http2";
import type { ClientHttp2Session, Http2Session, Http2Stream, ServerHttp2Session } from "node:http2";
import { addAbortSignal, PassThrough, pipeline } from "node:stream";
import type { Duplex } from "node:stream";
import fc from "fast-check";
import { guardHttp2Session } from "../../src/wire/streams/end-stream.ts";
import { abort } from "../../src/wire/streams/splice.ts";
import { TunnelSocket } from "../../src/wire/streams/tunnel-socket.ts";
import { openCarrier } from "../support/carriers.ts";
import type { CarrierPair } from "../support/carriers.ts";
import { eventually, next, turn } from "../support/events.ts";
import { limitSelf } from "../support/self-limit.ts";

const SMALL = Buffer.alloc(100, 1);
const LARGE = Buffer.alloc(60_000, 1);
/** More than a stream's window, which is node's own here. */
const WINDOW = Buffer.alloc(100_000, 1);

const REACTIONS = [
  "none",
  "destroy",
  "destroy-error",
  "destroy-other",
  "session-destroy",
  "session-close",
] as const;
const STREAM_OPS = [
  "write-small",
  "write-large",
  "write-window",
  "write-then-destroy",
  "end",
  "end-with-data",
  "close-no-error",
  "close-cancel",
  "destroy",
  "destroy-error",
  "abort",
  "timeout",
  "pause",
  "resume",
  "iterate",
  "pipe-to-destroyed",
  "turn",
];
const SESSION_OPS = [
  "session-close",
  "session-goaway",
  "session-destroy",
  "session-destroy-error",
  "carrier-end",
  "carrier-destroy",
  "carrier-reset",
];

const ENDS = ["client", "server"] as const;
type End = (typeof ENDS)[number];

interface Step {
  stream: number;
  end: End;
  op: string;
}

interface Scenario {
  carrier: "tcp" | "tls" | "websocket";
  /** For each stream what each end does at 'aborted', and whether the client's end is a TunnelSocket. */
  streams: { client: string; server: string; isTunnel: boolean }[];
  steps: Step[];
}

const step = fc.record({
  stream: fc.nat(3),
  end: fc.constantFrom(...ENDS),
  op: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...STREAM_OPS) },
    { weight: 1, arbitrary: fc.constantFrom(...SESSION_OPS) },
  ),
});
const reaction = fc.constantFrom(...REACTIONS);
const scenario: fc.Arbitrary<Scenario> = fc.record({
  carrier: fc.constantFrom("tcp", "tls", "websocket"),
  streams: fc.array(fc.record({ client: reaction, server: reaction, isTunnel: fc.boolean() }), {
    minLength: 2,
    maxLength: 4,
  }),
  steps: fc.array(step, { minLength: 2, maxLength: 30 }),
});

const [what = "50", mode] = process.argv.slice(2);
const isBare = mode === "bare";

/** One end of one stream, and what has been seen there. */
class StreamEnd {
  readonly stream: Http2Stream;
  /** What a consumer would hold: the stream itself, or a TunnelSocket on it. */
  readonly held: Duplex;
  readonly #giveUp = new AbortController();
  written = 0;
  received = 0;
  hasEnded = false;
  /** Ended here by `close()` or `destroy()`: what it reads from then on is its own doing. */
  endedItself = false;
  /** `close(code)` sends END_STREAM first: node's way with what has a code, and nobody of ours does it. */
  closedWithCode = false;
  looksComplete = false;

  constructor(stream: Http2Stream, isTunnel: boolean) {
    this.stream = stream.setMaxListeners(0);
    this.held = isTunnel ? new TunnelSocket(stream, "r t") : stream;
    this.held.setMaxListeners(0).on("error", () => {});
    stream.on("error", () => {});
    addAbortSignal(this.#giveUp.signal, this.held);
    this.held.on("data", (chunk: Buffer) => (this.received += chunk.length));
    this.held.on("end", () => {
      setImmediate(() => {
        const isReset =
          stream.rstCode !== 0 || stream.aborted || stream.errored !== null || this.held.errored !== null;
        this.looksComplete = !isReset && !this.endedItself;
      });
    });
  }

  write(bytes: Buffer, then?: () => void): void {
    if (this.held.destroyed || this.held.writableEnded || this.stream.closed) return;
    this.written += bytes.length;
    this.held.write(bytes, () => then?.());
  }

  do(op: string): void {
    const { held, stream } = this;
    const isEnding = [
      "close-no-error",
      "close-cancel",
      "destroy",
      "destroy-error",
      "abort",
      "iterate",
    ].includes(op);
    this.endedItself ||=
      isEnding || op === "write-then-destroy" || op === "pipe-to-destroyed" || op === "timeout";
    if (op === "write-small") this.write(SMALL);
    else if (op === "write-large") this.write(LARGE);
    else if (op === "write-window") this.write(WINDOW);
    else if (op === "write-then-destroy") this.write(SMALL, () => held.destroy());
    else if (op === "end" || op === "end-with-data") {
      if (op === "end-with-data") this.write(LARGE);
      this.hasEnded = true;
      if (!held.destroyed) held.end();
    } else if (op === "close-no-error") stream.close(0);
    else if (op === "close-cancel") {
      this.closedWithCode = true;
      stream.close(8);
    } else if (op === "destroy") held.destroy();
    else if (op === "destroy-error") held.destroy(new Error("on purpose"));
    else if (op === "abort") this.#giveUp.abort();
    else if (op === "timeout") {
      this.closedWithCode = true;
      stream.setTimeout(1, () => {
        this.write(SMALL);
        stream.close(8);
      });
    } else if (op === "pause") held.pause();
    else if (op === "resume") held.resume();
    else if (op === "iterate") void this.#iterate();
    else if (op === "pipe-to-destroyed") {
      const to = new PassThrough();
      pipeline(held, to, () => {});
      to.destroy();
    }
  }

  async #iterate(): Promise<void> {
    try {
      for await (const _ of this.held) break;
    } catch {
      // as it comes
    }
  }
}

interface Stand {
  carrier: CarrierPair;
  client: ClientHttp2Session;
  server: ServerHttp2Session;
  ends: Record<End, StreamEnd>[];
}

async function open({ carrier: kind, streams }: Scenario): Promise<Stand> {
  const carrier = await openCarrier(kind);
  carrier.agent.allowHalfOpen = false;
  carrier.control.allowHalfOpen = false;
  const server = http2.performServerHandshake(carrier.agent);
  const client = http2.connect("http://agent", { createConnection: () => carrier.control });
  for (const session of [server, client]) {
    if (!isBare) guardHttp2Session(session);
    session.on("error", () => {});
  }
  const ends: Record<End, StreamEnd>[] = [];
  await next(client, "remoteSettings");
  for (const { isTunnel } of streams) {
    const accepted = next<[http2.ServerHttp2Stream]>(server, "stream");
    const stream = client.request({ ":method": "CONNECT", ":authority": "t.r" });
    const [other] = await accepted;
    ends.push({ client: new StreamEnd(stream, isTunnel), server: new StreamEnd(other, false) });
    other.respond({ ":status": 200 });
  }
  return { carrier, client, server, ends };
}

function react(stand: Stand, index: number, end: End, what: string): void {
  const own = stand.ends[index]?.[end];
  if (own === undefined || what === "none") return;
  own.stream.on("aborted", () => {
    if (what === "destroy" || what === "destroy-error") own.do(what);
    else if (what === "destroy-other") stand.ends[(index + 1) % stand.ends.length]?.[end].do("destroy");
    else onSession(stand, end, what);
  });
}

function onSession(stand: Stand, end: End, op: string): void {
  const session: Http2Session = stand[end];
  const socket = end === "client" ? stand.carrier.control : stand.carrier.agent;
  if (op === "session-close") session.close();
  else if (op === "session-goaway") {
    if (!session.destroyed) session.goaway(0);
  } else if (op === "session-destroy") session.destroy();
  else if (op === "session-destroy-error") session.destroy(new Error("on purpose"));
  else if (op === "carrier-end") socket.end();
  else if (op === "carrier-destroy") socket.destroy();
  else if (op === "carrier-reset") abort(socket);
}

async function play(played: Scenario): Promise<void> {
  writeSync(1, `${JSON.stringify(played)}\n`);
  const stand = await open(played);
  for (const [index, { client, server }] of played.streams.entries()) {
    react(stand, index, "client", client);
    react(stand, index, "server", server);
  }
  for (const { stream, end, op } of played.steps) {
    const ends = stand.ends[stream % stand.ends.length];
    if (op === "turn") await turn(2);
    else if (op.startsWith("session-") || op.startsWith("carrier-")) onSession(stand, end, op);
    else ends?.[end].do(op);
  }
  // The peer reads on: a WINDOW_UPDATE may be what it takes.
  for (const ends of stand.ends)
    for (const end of ENDS) if (!ends[end].held.destroyed) ends[end].held.resume();
  await turn(20);
  for (const session of [stand.client, stand.server])
    if (!session.destroyed) session.destroy(new Error("the scenario is over"));
  await stand.carrier.close();
  const all = stand.ends.flatMap(({ client, server }) => [client, server]);
  await eventually(() => all.every(({ stream }) => stream.closed), "every stream's end");
  // A complete response, and a peer that wants no more: whoever holds the socket need not have ended its own half.
  for (const { held } of all) if (held.readableEnded) held.destroy();
  await eventually(() => all.every(({ held }) => held.closed), "every consumer's end");
  await turn(2);
  if (isBare) return;
  await eventually(
    () => !process.getActiveResourcesInfo().some((kind) => kind.startsWith("TCP")),
    "every socket's end",
  );
  for (const { client, server } of stand.ends) {
    checkComplete(client, server);
    checkComplete(server, client);
  }
}

/** What looks complete is. */
function checkComplete(from: StreamEnd, to: StreamEnd): void {
  if (!to.looksComplete || from.closedWithCode) return;
  if (!from.hasEnded || to.received !== from.written)
    throw new Error(`${to.received} of ${from.written} bytes look complete (ended: ${from.hasEnded})`);
}

limitSelf({ memoryMb: 400, stuckMs: 5_000 });
if (what.startsWith("{")) await play(JSON.parse(what) as Scenario);
else await fc.assert(fc.asyncProperty(scenario, play), { numRuns: Number(what), endOnFailure: true });
writeSync(1, "done\n");
