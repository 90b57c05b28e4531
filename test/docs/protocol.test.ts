/** docs/protocol.md: its numbers are the code's, and its worked example works against a real control plane. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { describe, it } from "node:test";
import { createControlPlane } from "../../src/control/control-plane.ts";
import type { ControlPlane } from "../../src/control/control-plane.ts";
import * as limits from "../../src/wire/limits.ts";
import {
  AGENT_PATHS,
  CAPABILITY,
  AGENT_ENDPOINT_PATH,
  HEADER,
  PTTH_UPGRADE_TOKEN,
  REVERSED_ALPN,
  WEBSOCKET_SUBPROTOCOL,
} from "../../src/wire/protocol.ts";
import { VERSION } from "../../src/wire/version.ts";
import { within } from "../support/events.ts";
import { fences, readDocument, sections, tableRows } from "./markdown.ts";

const text = readDocument("docs/protocol.md");

const PREFACE_BYTES = 24;
const FRAME_HEADER_BYTES = 9;
const PING = 6;

interface Step {
  from: "agent" | "control plane";
  bytes: Buffer;
  line: string;
}

/** `C> 000018 04 00 … ; comment`, continued by indented lines. */
function parseFrames(body: string): Step[] {
  const steps: Step[] = [];
  for (const line of body.split("\n").filter((each) => each.trim() !== "")) {
    const [, side, hex = ""] = /^(?:([AC])> | {3})([^;]*)/.exec(line) ?? assert.fail(`not a frame: ${line}`);
    const bytes = Buffer.from(hex.replaceAll(/\s/g, ""), "hex");
    assert.equal(bytes.toString("hex"), hex.replaceAll(/\s/g, ""), `not hexadecimal: ${line}`);
    const last = steps.at(-1);
    if (side !== undefined) steps.push({ from: side === "A" ? "agent" : "control plane", bytes, line });
    else if (last === undefined) assert.fail("the first line has no sender");
    else last.bytes = Buffer.concat([last.bytes, bytes]);
  }
  return steps;
}

const steps = fences(text)
  .filter(({ info }) => info === "frames")
  .flatMap(({ body }) => parseFrames(body));

/** The example's bytes are those of a version; its field is the only thing in them that another one changes. */
function carriesVersion(frame: Buffer): boolean {
  return frame[3] === 1 && frame.readUInt32BE(5) === 1;
}

describe("docs/protocol.md", () => {
  it("names every identifier of the wire", () => {
    const names = [
      ...REVERSED_ALPN,
      PTTH_UPGRADE_TOKEN,
      WEBSOCKET_SUBPROTOCOL,
      AGENT_ENDPOINT_PATH,
      ...Object.values(AGENT_PATHS),
      ...Object.values(CAPABILITY),
    ];
    for (const name of names) assert.ok(text.includes(name), name);
    for (const name of Object.values(HEADER)) assert.ok(text.toLowerCase().includes(name), name);
  });

  it("lists the settings that are sent", () => {
    const rows = tableRows(sections(text, 3).get("4.2 Settings and windows") ?? "");
    const documented = new Map(rows.map(([name = "", , agent = ""]) => [name.split(" ")[0], agent]));
    const number = (value: number) => value.toLocaleString("en-US");
    assert.equal(documented.get("SETTINGS_MAX_CONCURRENT_STREAMS"), number(limits.AGENT_MAX_STREAMS));
    assert.equal(documented.get("SETTINGS_INITIAL_WINDOW_SIZE"), number(limits.STREAM_WINDOW_BYTES));
    assert.equal(documented.get("SETTINGS_MAX_FRAME_SIZE"), number(limits.MAX_FRAME_BYTES));
    assert.equal(documented.get("SETTINGS_MAX_HEADER_LIST_SIZE"), number(limits.MAX_HEADER_BLOCK_BYTES));
    assert.equal(documented.get("connection"), number(limits.CONNECTION_WINDOW_BYTES));
  });

  it("shows frames whose lengths are right", () => {
    assert.ok(steps.length > 15);
    for (const { bytes, line } of steps) {
      if (bytes.toString("latin1").startsWith("PRI ")) continue;
      assert.equal(bytes.readUIntBE(0, 3), bytes.length - FRAME_HEADER_BYTES, line);
    }
  });

  it("shows an agent that a control plane takes, byte for byte", async () => {
    await using agent = await connectRawAgent();
    const { socket, frames } = agent;
    const dials: Promise<string>[] = [];
    for (const { from, bytes, line } of steps) {
      if (from === "agent") {
        socket.write(bytes);
        continue;
      }
      if (bytes[3] === 1 && bytes.readUInt32BE(5) > 1) dials.push(agent.dial());
      if (bytes[3] === 7) void agent.close();
      const seen = await within(frames.next(), line);
      if (VERSION !== "0.1.0" && carriesVersion(bytes)) continue;
      assert.equal(seen.toString("hex"), bytes.toString("hex"), line);
    }
    assert.deepEqual(await within(Promise.all(dials), "both dials"), ["ping", "target_refused"]);
  });
});

interface RawAgent extends AsyncDisposable {
  socket: net.Socket;
  /** Preface and frames of the control plane, PING left out. */
  frames: { next(): Promise<Buffer> };
  /** What the caller of a dial gets: the target's bytes, or the code of the refusal. */
  dial(): Promise<string>;
  close(): Promise<void>;
}

async function connectRawAgent(): Promise<RawAgent> {
  const registered = Promise.withResolvers<void>();
  const controlPlane = await createControlPlane({
    port: 0,
    host: "127.0.0.1",
    adminToken: "s3cret",
    drainMs: 200,
    onEvent: () => registered.resolve(),
  });
  const socket = net.connect(controlPlane.port, "127.0.0.1");
  socket.on("error", () => {}); // permanent
  const dispose = async (): Promise<void> => {
    socket.destroy();
    await controlPlane.close();
  };
  try {
    return {
      ...(await shakeHands(socket, controlPlane, registered.promise)),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function shakeHands(
  socket: net.Socket,
  controlPlane: ControlPlane,
  registered: Promise<void>,
): Promise<Omit<RawAgent, typeof Symbol.asyncDispose>> {
  await once(socket, "connect");
  const source = readFrames(socket);
  const request = sections(text, 2).get("11. Worked example") ?? assert.fail("no worked example");
  const [example] = fences(request);
  socket.write((example?.body ?? "").replaceAll("\n", "\r\n"));
  const response = String((await within(source.next(), "101")).value);
  assert.match(response, /^HTTP\/1\.1 101 /);
  const expected = fences(text).find(
    ({ info, body }) => info === "http" && body.includes("101 Switching Protocols\nConnection"),
  );
  assert.equal(
    response.replace(VERSION, "0.1.0"),
    expected?.body.replaceAll("\n", "\r\n"),
    "the 101 of the page",
  );
  return {
    socket,
    frames: { next: async () => (await source.next()).value ?? assert.fail("the control plane closed") },
    dial: async () => {
      await registered;
      try {
        const stream = await controlPlane.dial("runner-1", "echo");
        stream.end("ping");
        let received = "";
        for await (const chunk of stream) received += String(chunk);
        return received;
      } catch (error) {
        return (error as { code?: string }).code ?? String(error);
      }
    },
    close: () => controlPlane.close(),
  };
}

/** First the HTTP head, then the preface, then a frame each. */
async function* readFrames(socket: net.Socket): AsyncGenerator<Buffer, undefined> {
  let rest = Buffer.alloc(0);
  let expected: "head" | "preface" | "frame" = "head";
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk as Buffer]);
    for (;;) {
      const length = lengthOf(expected, rest);
      if (length === undefined || rest.length < length) break;
      const piece = rest.subarray(0, length);
      rest = rest.subarray(length);
      const isPing = expected === "frame" && piece[3] === PING;
      expected = expected === "head" ? "preface" : "frame";
      if (!isPing) yield piece;
    }
  }
  return undefined;
}

function lengthOf(expected: "head" | "preface" | "frame", bytes: Buffer): number | undefined {
  if (expected === "preface") return PREFACE_BYTES;
  if (expected === "frame")
    return bytes.length < FRAME_HEADER_BYTES ? undefined : FRAME_HEADER_BYTES + bytes.readUIntBE(0, 3);
  const end = bytes.indexOf("\r\n\r\n");
  return end < 0 ? undefined : end + 4;
}
