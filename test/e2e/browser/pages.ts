/** Serves the viewer's page, on an origin of its own. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Pages extends AsyncDisposable {
  /** `http://127.0.0.1:40123` */
  readonly origin: string;
}

const TYPES: Readonly<Record<string, string>> = {
  "/index.html": "text/html; charset=utf-8",
  "/viewer.js": "text/javascript; charset=utf-8",
};

export async function servePages(host = "127.0.0.1"): Promise<Pages> {
  const server = createServer((request, response) => {
    const path = request.url === "/" ? "/index.html" : (request.url ?? "");
    const type = TYPES[path];
    if (type === undefined) return void response.writeHead(404).end();
    readFile(new URL(`page${path}`, import.meta.url)).then(
      (body) => response.writeHead(200, { "content-type": type }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    origin: `http://${host}:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
