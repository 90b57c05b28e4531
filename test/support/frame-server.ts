/** A registered agent that responds to every stream with a test's frames, on a carrier of the test's choice. */
import { once } from "node:events";
import { request } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { AGENT_ENDPOINT_PATH, WEBSOCKET_SUBPROTOCOL } from "../../src/wire/protocol.ts";
import { webSocketStream } from "../../src/wire/session/websocket-carrier.ts";
import { within } from "./events.ts";
import { dataFrame, encodeFrame, FLAG, FRAME, headersFrame, readFrames } from "./http2-frames.ts";
import type { Frame } from "./http2-frames.ts";

export interface FrameServerOptions {
  port: number;
  token: string;
  carrier: "ptth" | "websocket";
  runner: string;
  targets: readonly string[];
  capabilities?: readonly string[];
  /** Every frame of the streams behind `/hello`. What it returns goes out in one write. */
  onFrame(frame: Frame): readonly Buffer[];
}

const PREFACE_BYTES = 24;
const ENABLE_CONNECT_PROTOCOL = Buffer.from([0, 8, 0, 0, 0, 1]);

/** The stream that it resolves to is the carrier: destroy it at the end. */
export async function serveFrames(options: FrameServerOptions): Promise<Duplex> {
  const carrier = await within(dialCarrier(options), "the carrier");
  carrier.on("error", () => {}); // permanently
  carrier.write(encodeFrame(FRAME.SETTINGS, 0, 0, ENABLE_CONNECT_PROTOCOL));
  respond(carrier, options).catch(() => {}); // the carrier is destroyed at the end of the test
  return carrier;
}

async function respond(carrier: Duplex, options: FrameServerOptions): Promise<void> {
  for await (const frame of readFrames(carrier, PREFACE_BYTES)) {
    const isAck = (frame.flags & FLAG.ACK) !== 0;
    if (frame.type === FRAME.SETTINGS && !isAck) {
      carrier.write(encodeFrame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(0)));
    } else if (frame.type === FRAME.PING && !isAck) {
      carrier.write(encodeFrame(FRAME.PING, FLAG.ACK, 0, frame.payload));
    } else if (frame.stream === 1) {
      if (frame.type === FRAME.HEADERS) carrier.write(hello(options));
    } else if (frame.stream > 0) {
      const frames = options.onFrame(frame);
      if (frames.length > 0) carrier.write(Buffer.concat(frames));
    }
  }
}

function hello({ runner, targets, capabilities = [] }: FrameServerOptions): Buffer {
  const body = {
    protocol: 1,
    version: "test",
    instance: "frames",
    capabilities,
    runners: [{ id: runner, targets: targets.map((name) => ({ name })) }],
  };
  return Buffer.concat([
    headersFrame(1, [[":status", "200"]], false),
    dataFrame(1, JSON.stringify(body), true),
  ]);
}

/** An agent's dial, as far as the carrier: nothing has been sent on it. */
export async function dialCarrier({
  port,
  token,
  carrier,
  runner,
}: Pick<FrameServerOptions, "port" | "token" | "carrier" | "runner">): Promise<Duplex> {
  const path = `${AGENT_ENDPOINT_PATH}?runnerid=${runner}`;
  const headers = { authorization: `Bearer ${token}` };
  if (carrier === "websocket") {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, WEBSOCKET_SUBPROTOCOL, { headers });
    const stream = webSocketStream(socket);
    await once(socket, "open");
    return stream;
  }
  const upgrade = request({
    port,
    host: "127.0.0.1",
    path,
    headers: { ...headers, connection: "Upgrade", upgrade: "ptth", alpn: "h2" },
  });
  upgrade.end();
  const [, socket, head] = (await once(upgrade, "upgrade")) as [unknown, Duplex, Buffer];
  if (head.length > 0) socket.unshift(head);
  return socket;
}
