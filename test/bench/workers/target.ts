/** The private service: a keep-alive HTTP responder, an echo, a source and a sink of bytes, each on a port of its own. */
import net from "node:net";
import { serve } from "./serve.ts";
import { listen } from "./listen.ts";

export interface TargetPorts {
  http: number;
  echo: number;
  source: number;
  sink: number;
  /** Responds with a body that does not end. */
  endless: number;
  /** Responds with 103 without end. */
  interim: number;
  /** Reads nothing. */
  deaf: number;
  /** Responds with chunks of one byte without end. */
  chunks: number;
}

/** A byte counter and when it was read, by the clock of the process that counts. */
export interface ByteCount {
  bytes: number;
  atMs: number;
}

export interface TargetCalls {
  ports(): TargetPorts;
  sunk(): ByteCount;
}

const BODY = "hello, bench\n";
const RESPONSE = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
);
const ENDLESS_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
const INTERIM = Buffer.from("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n".repeat(200));
const CHUNKED_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
const SMALL_CHUNKS = Buffer.from("1\r\nx\r\n".repeat(4_096));
const REQUEST_END = Buffer.from("\r\n\r\n");
const CHUNK = Buffer.alloc(64 * 1024, "x");

let sunk = 0;

const ports: TargetPorts = {
  http: await listen(respondToRequests),
  echo: await listen((socket) => socket.pipe(socket)),
  source: await listen((socket) => sendWithoutEnd(socket, CHUNK)),
  sink: await listen((socket) => {
    socket.on("data", (chunk: Buffer) => {
      sunk += chunk.length;
    });
  }),
  endless: await listen((socket) => {
    socket.once("data", () => {
      socket.write(ENDLESS_HEAD);
      sendWithoutEnd(socket, CHUNK);
    });
  }),
  interim: await listen((socket) => {
    socket.once("data", () => sendWithoutEnd(socket, INTERIM));
  }),
  deaf: await listen((socket) => socket.pause()),
  chunks: await listen((socket) => {
    socket.once("data", () => {
      socket.write(CHUNKED_HEAD);
      sendWithoutEnd(socket, SMALL_CHUNKS);
    });
  }),
};

serve({
  ports: () => ports,
  sunk: () => ({ bytes: sunk, atMs: performance.now() }),
} satisfies TargetCalls);

/** Requests without a body, that is: one response for each blank line. Real parsing would only hide what is measured. */
function respondToRequests(socket: net.Socket): void {
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    let text = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let end = text.indexOf(REQUEST_END); end >= 0; end = text.indexOf(REQUEST_END)) {
      socket.write(RESPONSE);
      text = text.subarray(end + REQUEST_END.length);
    }
    rest = Buffer.from(text);
  });
}

function sendWithoutEnd(socket: net.Socket, chunk: Buffer): void {
  const send = () => {
    while (!socket.destroyed && socket.write(chunk)) {
      // until the socket says that it has enough
    }
  };
  socket.on("drain", send);
  socket.resume();
  send();
}
