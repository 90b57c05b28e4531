/** nginx and Go's ReverseProxy as processes, each with a port for HTTP/1.1 and one for HTTP/2 with prior knowledge. */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { homedir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "../docs/markdown.ts";
import { eventually, next, within } from "../support/events.ts";
import { isInstalled, partPath } from "../support/parts.ts";
import { tempPath } from "../support/temp.ts";

export interface Targets {
  http1: string;
  http2: string;
}

export interface Program {
  http1Port: number;
  http2Port: number;
  stop(): Promise<void>;
}

/** Where Go's own archive unpacks to, if it is not in PATH. */
const GO = "/usr/local/go/bin/go";

function goProgram(): string | undefined {
  if (isInstalled("go")) return partPath("go");
  return existsSync(GO) ? GO : undefined;
}

export const isPresent: Readonly<Record<"nginx" | "Go", () => boolean>> = {
  nginx: () => isInstalled("nginx"),
  Go: () => goProgram() !== undefined,
};

/** With what nginx's documentation says for keep-alive and WebSockets, and otherwise its defaults. */
function nginxConfig(folder: string, http1Port: number, http2Port: number, targets: Targets): string {
  const user = process.getuid?.() === 0 ? "user root; " : "";
  return `${user}daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream target { server ${targets.http1}; keepalive 4; }
  server {
    listen 127.0.0.1:${http1Port};
    location /route/ {
      proxy_pass http://target/;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
  server {
    listen 127.0.0.1:${http2Port} http2;
    location / { grpc_pass grpc://${targets.http2}; }
  }
}
`;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await next(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await next(server, "close");
  return port;
}

function stopper(child: ChildProcess): () => Promise<void> {
  const closed = new Promise<void>((resolve) => void child.once("close", () => resolve()));
  child.on("error", () => {}); // permanent
  return async () => {
    child.kill("SIGTERM");
    await within(closed, "the end of a proxy");
  };
}

export async function startNginx(targets: Targets): Promise<Program> {
  const folder = tempPath();
  mkdirSync(folder);
  const [http1Port, http2Port] = [await freePort(), await freePort()];
  const config = path.join(folder, "nginx.conf");
  writeFileSync(config, nginxConfig(folder, http1Port, http2Port, targets));
  const child = spawn(partPath("nginx"), ["-p", folder, "-e", path.join(folder, "error.log"), "-c", config], {
    stdio: "inherit",
  });
  const stop = stopper(child);
  let isUp = false;
  while (!isUp) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
    const socket = net.connect({ port: http2Port, host: "127.0.0.1" });
    isUp = await next(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
  }
  return { http1Port, http2Port, stop };
}

/** Built with the standard library alone, into the cache of parts. */
export async function startGo(targets: Targets): Promise<Program> {
  const cache = path.join(process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache"), "turnabout-parts");
  mkdirSync(cache, { recursive: true });
  const program = path.join(cache, "http-table-proxy");
  const built = spawnSync(goProgram() ?? "go", ["build", "-o", program, "."], {
    cwd: path.join(ROOT, "test/http-table/proxy"),
    stdio: "inherit",
  });
  if (built.status !== 0) throw new Error("go build failed");
  const child = spawn(program, [targets.http1, targets.http2], { stdio: ["ignore", "pipe", "ignore"] });
  const stop = stopper(child);
  const ports: number[] = [];
  createInterface(child.stdout).on("line", (line) => ports.push(Number(line)));
  await eventually(() => ports.length === 2 || child.exitCode !== null, "the ports of the Go program");
  const [http1Port, http2Port] = ports;
  if (http1Port === undefined || http2Port === undefined) throw new Error("the Go program has ended");
  return { http1Port, http2Port, stop };
}
