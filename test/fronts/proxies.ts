/**
 * Real reverse proxies, each in the foreground, on free ports, in a folder of its own, with the configuration that users
 * get: only addresses, paths and time limits differ.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { ROOT } from "../docs/markdown.ts";
import { within } from "../support/events.ts";
import type { Credential } from "../support/pki.ts";
import { tempPath } from "../support/temp.ts";

export type ProxyName = "nginx" | "haproxy" | "caddy" | "apache2";

export interface TlsTerminator extends AsyncDisposable {
  /** Port where TLS is terminated. */
  readonly port: number;
  /** Port where TLS is passed through; undefined if the configuration has none. */
  readonly passthroughPort: number | undefined;
  /** With a changed configuration, as an operator would. Resolves when the new one serves. */
  reload(): Promise<void>;
}

export interface TlsTerminatorOptions {
  toPort: number;
  credential: Credential;
  /** In place of every time limit of an hour. */
  idleS?: number;
  /** What else is replaced by what: a mistake in the configuration. */
  replace?: Readonly<Record<string, string>>;
}

interface Kind {
  title: string;
  /** From the root of the repository. */
  file: string;
  version: readonly [string, ...string[]];
  /** What in the file is replaced by what. */
  replace(values: Values): Readonly<Record<string, string>>;
  start(config: string, values: Values): { command: string; args: string[]; env?: Record<string, string> };
  /** Sends the signal, or runs the command. */
  reload(child: ChildProcess, config: string, values: Values): void;
}

interface Values {
  folder: string;
  toPort: number;
  port: number;
  otherPort: number;
  idleS: number | undefined;
}

const CERTIFICATE = "/certs/tls.crt";
const KEY = "/certs/tls.key";

function common({ folder, toPort }: Values): Record<string, string> {
  return {
    [CERTIFICATE]: path.join(folder, "tls.crt"),
    "control-plane:8080": `127.0.0.1:${toPort}`,
  };
}

export const KINDS: Readonly<Record<ProxyName, Kind>> = {
  nginx: {
    title: "nginx",
    file: "compose/tls-nginx/nginx.conf",
    version: ["nginx", "-v"],
    replace: (values) => ({
      ...common(values),
      [KEY]: path.join(values.folder, "tls.key"),
      "pid /run/nginx.pid": `pid ${values.folder}/pid`,
      "error_log /dev/stderr": `error_log ${values.folder}/error.log`,
      "listen 443": `listen 127.0.0.1:${values.port}`,
      ...(values.idleS !== undefined && {
        "proxy_read_timeout 1h": `proxy_read_timeout ${values.idleS}s`,
        "proxy_send_timeout 1h": `proxy_send_timeout ${values.idleS}s`,
      }),
    }),
    start: (config, { folder }) => ({
      command: "nginx",
      args: ["-p", folder, "-e", path.join(folder, "error.log"), "-c", config, "-g", "daemon off;"],
    }),
    reload: (child) => void child.kill("SIGHUP"),
  },
  haproxy: {
    title: "HAProxy",
    file: "compose/tls-haproxy/haproxy.cfg",
    version: ["haproxy", "-v"],
    replace: (values) => ({
      ...common(values),
      "bind :443": `bind 127.0.0.1:${values.port}`,
      "bind :8443": `bind 127.0.0.1:${values.otherPort}`,
      ...(values.idleS !== undefined && {
        "timeout client 1h": `timeout client ${values.idleS}s`,
        "timeout server 1h": `timeout server ${values.idleS}s`,
        "timeout tunnel 1h": `timeout tunnel ${values.idleS}s`,
      }),
    }),
    start: (config) => ({ command: "haproxy", args: ["-W", "-db", "-f", config] }),
    reload: (child) => void child.kill("SIGUSR2"),
  },
  caddy: {
    title: "Caddy",
    file: "compose/tls-caddy/Caddyfile",
    version: ["caddy", "version"],
    replace: (values) => ({
      ...common(values),
      [KEY]: path.join(values.folder, "tls.key"),
      ":443 {": `:${values.port} {\n\tbind 127.0.0.1`,
      "auto_https off": `auto_https off\n\tadmin 127.0.0.1:${values.otherPort}`,
      "stream_close_delay 1h": "", // Debian's Caddy is older than that
    }),
    start: (config, { folder }) => ({
      command: "caddy",
      args: ["run", "--config", config, "--adapter", "caddyfile"],
      env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
    }),
    reload: (_child, config, { otherPort }) => {
      writeFileSync(
        config,
        readFileSync(config, "utf8").replace(
          "flush_interval -1",
          "flush_interval -1\n\t\theader_down +X-Reloaded yes",
        ),
      );
      const args = [
        "reload",
        "--config",
        config,
        "--adapter",
        "caddyfile",
        "--address",
        `127.0.0.1:${otherPort}`,
      ];
      const child = spawn("caddy", args, { stdio: "ignore" });
      child.on("error", () => {}); // permanently
    },
  },
  apache2: {
    title: "Apache",
    file: "test/fronts/config/apache2.conf",
    version: ["apache2", "-v"],
    replace: (values) => ({
      ...common(values),
      [KEY]: path.join(values.folder, "tls.key"),
      "Listen 443": `Listen 127.0.0.1:${values.port}\nPidFile ${values.folder}/pid\nErrorLog ${values.folder}/error.log\nDefaultRuntimeDir ${values.folder}`,
      ...(values.idleS !== undefined && {
        "Timeout 3600": `Timeout ${values.idleS}`,
        "timeout=3600": `timeout=${values.idleS}`,
      }),
    }),
    start: (config) => ({ command: "apache2", args: ["-f", config, "-DFOREGROUND"] }),
    reload: (child) => void child.kill("SIGUSR1"),
  },
};

export function versionOf(name: ProxyName): string {
  const [command, ...args] = KINDS[name].version;
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  return /\d+\.\d+\.\d+/.exec(stdout + stderr)?.[0] ?? "unknown";
}

export async function startProxy(name: ProxyName, options: TlsTerminatorOptions): Promise<TlsTerminator> {
  const kind = KINDS[name];
  const folder = tempPath("");
  mkdirSync(folder);
  writeFileSync(path.join(folder, "tls.crt"), options.credential.cert);
  writeFileSync(path.join(folder, "tls.key"), options.credential.key);
  const [port, otherPort] = await freePorts();
  const values: Values = { folder, toPort: options.toPort, port, otherPort, idleS: options.idleS };
  const config = path.join(folder, path.basename(kind.file));
  const replacements = { ...options.replace, ...kind.replace(values) };
  writeFileSync(config, configure(readFileSync(path.join(ROOT, kind.file), "utf8"), replacements));
  const { command, args, env } = kind.start(config, values);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (text) => (output = (output + String(text)).slice(-4_000)));
  child.on("error", () => {}); // permanently; 'close' follows
  const closed = new Promise<void>((resolve) => void child.once("close", () => resolve()));
  let hasEnded = false;
  void closed.then(() => (hasEnded = true));
  await untilListening(port, () => (hasEnded ? `${name} has ended: ${output}` : undefined));
  return {
    port,
    passthroughPort: name === "haproxy" ? otherPort : undefined,
    reload: async () => {
      kind.reload(child, config, values);
      await untilListening(port, () => (hasEnded ? `${name} has ended: ${output}` : undefined));
    },
    [Symbol.asyncDispose]: async () => {
      // The master tells its workers, old ones of before a reload among them.
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
      await within(closed, `the end of ${name}`, 20_000);
      clearTimeout(timer);
    },
  };
}

/** Each text has to occur: otherwise the file has changed, and the test would miss it. */
function configure(text: string, replacements: Readonly<Record<string, string>>): string {
  let result = text;
  for (const [from, to] of Object.entries(replacements)) {
    if (!result.includes(from)) throw new Error(`no ${from} in the configuration`);
    result = result.replaceAll(from, to);
  }
  return result;
}

async function freePorts(): Promise<[number, number]> {
  const servers = [net.createServer(), net.createServer()];
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>(
          (resolve) =>
            void server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)),
        ),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => void server.close(resolve))));
  return [ports[0] ?? 0, ports[1] ?? 0];
}

async function untilListening(port: number, failed: () => string | undefined): Promise<void> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const reason = failed();
    if (reason !== undefined) throw new Error(reason);
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = net.connect({ port, host: "127.0.0.1" }, () => resolve(true));
      socket.on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
    if (isOpen) return;
    if (performance.now() > deadline) throw new Error(`nothing listens on ${port}`);
  }
}
