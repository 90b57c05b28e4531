/** A small double of the Docker Engine's API on a Unix socket: what dockerode asks of it in these tests. */
import http from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { startHttpTarget } from "./target.ts";
import type { TestTarget } from "./target.ts";

export interface DockerDouble extends TestTarget {
  readonly http: http.Server;
  /** Sends an event to every reader of `/events`. */
  emit(event: object): void;
}

export async function startDockerDouble(): Promise<DockerDouble> {
  const readers = new Set<ServerResponse>();
  const target = await startHttpTarget(
    (request, response) => {
      const path = (request.url ?? "").replace(/^\/v[\d.]+/, "").split("?")[0];
      switch (`${request.method} ${path}`) {
        case "GET /info":
          return json(response, { ID: "double", Containers: 1 });
        case "GET /containers/json":
          return json(response, [{ Id: "c0ffee", Names: ["/sandbox"], Labels: { x: "ä" } }]);
        case "POST /containers/c0ffee/exec":
          return void body(request).then((text) =>
            json(response, { Id: "e1", Warnings: [text.length] }, 201),
          );
        case "GET /exec/e1/json":
          return json(response, { ID: "e1", Running: false, ExitCode: 0 });
        case "GET /events":
          response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
          readers.add(response);
          return void response.once("close", () => readers.delete(response));
        default:
          return json(response, { message: "no such container" }, 404);
      }
    },
    { on: "unix" },
  );
  target.http.on("upgrade", (request, socket: Duplex, head: Buffer) => {
    socket.on("error", () => {}); // permanent
    execute(request, socket, head);
  });
  return Object.assign(target, {
    emit: (event: object) => {
      for (const reader of readers) reader.write(`${JSON.stringify(event)}\n`);
    },
  });
}

/** `POST /exec/{id}/start`, hijacked: reads to the end of its input, and only then responds with what it read. */
function execute(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  request.resume(); // its JSON body; before Node 26 that is the first thing on the socket itself
  socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
  let input = head;
  socket.on("data", (chunk: Buffer) => (input = Buffer.concat([input, chunk])));
  socket.on("end", () => socket.end(`read ${input.toString("utf8").replace(/^\{.*?\}/, "")}`));
}

async function body(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request as AsyncIterable<Buffer>) text += chunk.toString("utf8");
  return text;
}

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}
