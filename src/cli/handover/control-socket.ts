/**
 * A Unix socket in the data directory, for `turnabout upgrade`: a signal could neither fail nor report, and a pid may be
 * another process's by now. The directory is its owner's alone, and so is the socket.
 */
import { chmodSync, lstatSync, rmSync } from "node:fs";
import net from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import type { Logger } from "../../wire/log.ts";
import { errorCodeOf } from "../../wire/errors.ts";
import {
  CONTROL_REQUEST_TIMEOUT_MS,
  MAX_CONTROL_CLIENTS,
  MAX_CONTROL_LINE_BYTES,
  UPGRADE_LIMIT_MS,
} from "./limits.ts";
import { UpgradeError } from "./upgrade-error.ts";

const FILE_NAME = "control.sock";
const REQUEST = "upgrade";

type Reply = { pid: number } | { error: string; hint: string };

/** Above twice the limit: the store is opened again as well. */
const REPLY_TIMEOUT_MS = UPGRADE_LIMIT_MS * 3;

export class ControlSocket {
  readonly #path: string | undefined;
  readonly #upgrade: () => Promise<number>;
  readonly #log: Logger;
  #server: net.Server | undefined;

  /** @param dataDirectory without one there is no socket */
  constructor(dataDirectory: string | undefined, upgrade: () => Promise<number>, log: Logger) {
    this.#path = dataDirectory === undefined ? undefined : join(dataDirectory, FILE_NAME);
    this.#upgrade = upgrade;
    this.#log = log;
  }

  /** To be called with the directory's lock: a socket that is there is a dead process's. Never rejects. */
  async listen(): Promise<void> {
    const path = this.#path;
    if (path === undefined) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const server = net.createServer((socket) => void this.#serve(socket));
    server.maxConnections = MAX_CONTROL_CLIENTS;
    server.once("error", reject);
    try {
      if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path);
      server.listen({ path }, resolve);
      await promise;
      chmodSync(path, 0o600);
      server.on("error", () => {}); // of an accept
      this.#server = server;
    } catch (error) {
      server.close();
      const reason = (error as Error).message;
      this.#log.warn({ path, reason }, "no control socket: `turnabout upgrade` cannot be used, SIGUSR2 can");
    }
  }

  /** Frees the path. A client that waits for an outcome still gets it. */
  close(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  async #serve(socket: Socket): Promise<void> {
    socket.on("error", () => {}); // permanently
    const request = await readLine(socket, CONTROL_REQUEST_TIMEOUT_MS).catch(() => undefined);
    if (request !== REQUEST) return void socket.destroy();
    const reply = await this.#upgrade().then(
      (pid): Reply => ({ pid }),
      (error: UpgradeError): Reply => ({ error: error.message, hint: error.hint }),
    );
    socket.end(`${JSON.stringify(reply)}\n`);
  }
}

/**
 * Has the control plane that uses this data directory replaced by a new process. Resolves with the new one's pid, which
 * serves.
 *
 * @throws UpgradeError
 */
export async function requestUpgrade(dataDirectory: string): Promise<number> {
  const path = join(dataDirectory, FILE_NAME);
  const socket = net.connect({ path });
  const { promise: failed, reject } = Promise.withResolvers<never>();
  socket.on("error", (error) => reject(explain(error, path)));
  socket.write(`${REQUEST}\n`);
  try {
    const reply = readReply(await Promise.race([readLine(socket, REPLY_TIMEOUT_MS), failed]));
    if ("error" in reply) throw new UpgradeError(reply.error, reply.hint);
    return reply.pid;
  } finally {
    socket.destroy();
  }
}

function readReply(line: string): Reply {
  return JSON.parse(line) as Reply;
}

function explain(error: Error, path: string): UpgradeError {
  const code = errorCodeOf(error);
  if (code === "ENOENT" || code === "ECONNREFUSED")
    return new UpgradeError(
      `${path}: no control plane uses this data directory`,
      "give the --data-dir of a running `turnabout serve`",
    );
  return new UpgradeError(`${path}: ${error.message}`, "run it as the user of the control plane");
}

/** The first line. Rejects if the peer ends before, sends more than a line may have, or takes too long. */
async function readLine(socket: Socket, timeoutMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const fail = (what: string): void =>
    reject(new UpgradeError(`the control plane ${what}`, "its log says what has happened"));
  let text = "";
  const timer = setTimeout(() => fail(`has not responded within ${timeoutMs / 1_000} s`), timeoutMs);
  socket.setEncoding("utf8");
  socket.on("data", (chunk: string) => {
    text += chunk;
    const end = text.indexOf("\n");
    if (end >= 0) return resolve(text.slice(0, end));
    if (text.length > MAX_CONTROL_LINE_BYTES) fail("has sent a line that is too long");
  });
  socket.once("close", () => fail("has ended without a result"));
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.removeAllListeners("data");
    socket.resume();
  }
}
