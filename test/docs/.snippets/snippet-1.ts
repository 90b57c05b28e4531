import { createAgent, createControlPlane, createDispatcher } from "../../../src/index.ts";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { fetch } from "undici";

const service = createServer((_request, response) => response.end("hello")).listen(0);
await once(service, "listening");
const { port } = service.address() as AddressInfo;

await using controlPlane = await createControlPlane({ port: 0, adminToken: "secret" });
await using agent = createAgent({
  server: `http://localhost:${controlPlane.port}`,
  token: { value: "secret" },
  runners: { "host-1": { web: `127.0.0.1:${port}` } },
});
await agent.connected();

// Bytes: a Duplex with half-close. A loss is an error, never a clean end.
const stream = await controlPlane.dial("host-1", "web", { waitMs: 5_000 });
stream.end("GET / HTTP/1.0\r\n\r\n");
for await (const chunk of stream) process.stdout.write(String(chunk));

// HTTP: undici over dialled streams.
const dispatcher = createDispatcher(controlPlane.dial);
const response = await fetch("http://web.host-1/", { dispatcher });
console.log(response.status, await response.text());

await dispatcher.close();
service.close();
