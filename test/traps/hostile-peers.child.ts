/**
 * Child of hostile-peers.test.ts. No handler for uncaught errors: an 'error' event without a listener ends this
 * process. Prints `alive` when a good agent still carries a stream after everything.
 */
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { createAgent } from "../../src/agent/agent.ts";
import { AGENT_ENDPOINT_PATH } from "../../src/wire/protocol.ts";
import { ending, eventually, within } from "../support/events.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../support/system.ts";
import type { System } from "../support/system.ts";

type Peer = net.Socket;

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const SETTINGS = frame(0, 4, 0, 0, Buffer.alloc(0));

function frame(length: number, type: number, flags: number, stream: number, body: Buffer): Buffer {
  const head = Buffer.from([length >> 16, (length >> 8) & 255, length & 255, type, flags, 0, 0, 0, stream]);
  return Buffer.concat([head, body]);
}

const EVIL: Record<string, (peer: Peer) => void> = {
  garbage: (peer) => peer.write(Buffer.alloc(200, 0xff)),
  "bad HEADERS": (peer) => peer.write(frame(20, 1, 5, 1, Buffer.alloc(20, 0xff))),
  "oversized frame": (peer) => peer.write(frame(0xff_ff_ff, 0, 0, 1, Buffer.alloc(20_000))),
  "half a frame": (peer) => peer.end(frame(100, 0, 0, 1, Buffer.alloc(10))),
  "GOAWAY with an error": (peer) => peer.write(frame(8, 7, 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, 2]))),
  "window overflow": (peer) => peer.write(frame(4, 8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff]))),
  reset: (peer) => (peer instanceof tls.TLSSocket ? peer.destroy() : peer.resetAndDestroy()),
  close: (peer) => peer.destroy(),
};

/** A peer that reads and never responds; gone when the other side closes, or a moment after its evil. */
async function doEvil(peer: Peer, evil: (peer: Peer) => void): Promise<void> {
  const closed = new Promise((resolve) => void peer.once("close", resolve));
  peer.resume();
  evil(peer);
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 200))]);
  peer.destroy();
  await closed;
}

/** Dials the agent endpoint like an agent, and misbehaves once the tunnel connection has begun. */
async function attackControlPlane(system: System, carrier: "ptth" | "ptths" | "rh2"): Promise<void> {
  for (const settingsFirst of [true, false]) {
    for (const evil of Object.values(EVIL)) {
      const at = { port: system.controlPlane.port, host: "127.0.0.1" };
      const peer =
        carrier === "ptth"
          ? net.connect(at)
          : tls.connect({
              ...at,
              ca: system.pki?.ca ?? "",
              ...(carrier === "rh2" && { ALPNProtocols: ["rh2"] }),
            });
      peer.on("error", () => {});
      await once(peer, carrier === "ptth" ? "connect" : "secureConnect");
      if (carrier !== "rh2") {
        const fields = `Host: x\r\nConnection: Upgrade\r\nUpgrade: ptth\r\nALPN: h2\r\nAuthorization: Bearer ${ADMIN_TOKEN}`;
        peer.write(`GET ${AGENT_ENDPOINT_PATH}?runnerid=evil HTTP/1.1\r\n${fields}\r\n\r\n`);
      }
      await once(peer, "data");
      if (settingsFirst) peer.write(SETTINGS);
      await doEvil(peer, evil);
    }
  }
}

/** Accepts an agent like a control plane, and misbehaves once the tunnel connection has begun. */
async function attackAgent(system: System, secure: boolean): Promise<void> {
  for (const evil of Object.values(EVIL)) {
    const done = Promise.withResolvers<void>();
    const onSocket = (peer: Peer): void => {
      peer.on("error", () => {});
      peer.once("data", () => {
        peer.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ptth\r\n\r\n");
        peer.write(Buffer.concat([PREFACE, SETTINGS]));
        setTimeout(() => void doEvil(peer, evil).then(done.resolve), 50);
      });
    };
    const server = secure
      ? tls.createServer((await system.pki?.issue({ commonName: "x", ip: ["127.0.0.1"] })) ?? {}, onSocket)
      : net.createServer(onSocket);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const ended = Promise.withResolvers<void>();
    const agent = createAgent({
      server: `${secure ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`,
      runners: { "runner-9": { echo: "127.0.0.1:1" } },
      token: { value: ADMIN_TOKEN },
      carrier: "ptth",
      connections: 1,
      drainMs: 0,
      caFile: system.caFile,
      onEvent: (event) => {
        if (event.type === "lost" || event.type === "attempt-failed") ended.resolve();
      },
    });
    await within(done.promise, "the evil");
    await within(ended.promise, "the agent's notice of it");
    await agent.close();
    server.close();
  }
}

const system = await startSystem({ tls: true });
if (process.argv[2] === "agent") {
  await attackAgent(system, false);
  await attackAgent(system, true);
} else {
  for (const carrier of ["ptth", "ptths", "rh2"] as const) await attackControlPlane(system, carrier);
}
const connections = () => system.controlPlane.runners().flatMap((view) => view.connections);
await eventually(() => connections().length === 1, "only the good agent");
const socket = await system.controlPlane.dial(RUNNER, TARGET);
const end = ending(socket);
socket.end("alive\n");
process.stdout.write((await end).data);
await system.close();
