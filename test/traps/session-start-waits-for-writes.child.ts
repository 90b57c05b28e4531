/** Child of session-start-waits-for-writes.test.ts: the case is in argv. A wrong order ends this process by SIGABRT. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import { dialCarrier } from "../../src/agent/carriers/auto.ts";
import { createPki, issueServer } from "../support/pki.ts";
import { ADMIN_TOKEN, startSystem } from "../support/system.ts";
import { tempPath } from "../support/temp.ts";

/** The control plane writes its 101 and starts an HTTP/2 session on the same TLS socket. */
async function controlPlane(): Promise<void> {
  await using system = await startSystem({ tls: true, agent: { carrier: "ptth", connections: 4 } });
  process.stdout.write(`connections ${system.agent.connections > 0 ? "up" : "none"}\n`);
}

/** The agent writes its request, and the peer's 101 is there before the write has finished. */
async function agent(): Promise<void> {
  const pki = await createPki();
  const caFile = tempPath(".pem");
  writeFileSync(caFile, pki.ca);
  const server = tls.createServer(await issueServer(pki), (socket) => {
    socket.on("error", () => {});
    socket.pause(); // the request is not read, and is larger than all buffers between
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ptth\r\n\r\n");
    setTimeout(() => socket.destroy(), 500);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const options = {
    url: new URL(`https://localhost:${port}/`),
    zone: undefined,
    socketPath: undefined,
    tls: { caFile },
    token: "t".repeat(16 * 1024 * 1024),
    headers: {},
  };
  // An attempt can also end while the request is being written.
  for (let attempt = 0, isOver = false; !isOver && attempt < 20; attempt += 1) {
    try {
      await dialCarrier("ptth", options, () => {}, AbortSignal.timeout(30_000));
    } catch (error) {
      isOver = String(error).includes("carrier has closed");
      if (isOver) process.stdout.write("agent waited\n");
    }
  }
  server.close();
}

/** An agent's upgrade comes on a connection whose earlier responses have not left yet. */
async function pipelined(upgrade: string): Promise<void> {
  await using system = await startSystem({ tls: true, agents: 0 });
  const { port } = system.controlPlane;
  const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ca: system.pki?.ca });
  socket.on("error", () => {});
  await once(socket, "secureConnect");
  const request = (path: string, fields = "") =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n${fields}\r\n`;
  socket.write(
    request("/openapi.json").repeat(4) +
      request(
        "/api/v1/revdial?runnerid=r",
        `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\nALPN: h2\r\nSec-WebSocket-Version: 13\r\n` +
          `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: turnabout.h2.v1\r\n`,
      ),
  );
  let text = "";
  for await (const chunk of socket) {
    text += (chunk as Buffer).toString("latin1");
    if (text.includes("PRI * HTTP/2.0")) break;
  }
  const heads = text.match(/HTTP\/1\.1 \d{3}|PRI \* HTTP\/2\.0/g) ?? [];
  process.stdout.write(`${heads.join(", ")}\n`);
  socket.destroy();
}

if (process.argv[2] === "agent") await agent();
else if (process.argv[2] === "pipelined") await pipelined(process.argv[3] ?? "");
else await controlPlane();
