/**
 * A double of a RevDial client: a control connection, and a new connection for each dial, joined with the one local target. Like
 * the programs of that fleet it closes data connections without a Close frame, and both halves at the first end.
 */
import net from "node:net";
import { WebSocket } from "ws";
import type { TestTarget } from "./target.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { EventLog } from "./event-log.ts";
import { next, within } from "./events.ts";
import { ADMIN_TOKEN, RUNNER } from "./system.ts";

/** What Go's io.Copy writes at once. */
const MESSAGE_BYTES = 32 * 1024;
/** What the program without a prefix reads of one message; it loses the rest. */
const READ_BYTES = 4_096;

export interface RevDialClientOptions {
  /** `http://…` or `https://…` of the control plane. */
  url: string;
  /** For pick-ups, where they take another way. Default {@link url}. */
  pickupUrl?: string;
  runner?: string;
  token?: string;
  target: Pick<TestTarget, "address">;
  ca?: string | undefined;
  /** In front of a pick-up's `/revdial`. Default `/api/v1`. The program without it loses what it has not read in one piece. */
  prefix?: "" | "/api/v1";
  /** In place of picking up. */
  onDial?: (path: string, client: RevDialClient) => void;
}

export interface Command {
  command: string;
  connPath?: string;
}

export class RevDialClient implements AsyncDisposable {
  readonly control: WebSocket;
  readonly commands: EventLog<Command> = new EventLog();
  /** Data connections that are open. */
  readonly data: Set<WebSocket> = new Set();
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #options: RevDialClientOptions;
  #received = "";

  private constructor(options: RevDialClientOptions) {
    this.#options = options;
    const { url, runner = RUNNER } = options;
    this.control = this.open(`${url}/api/v1/revdial?runnerid=${runner}`);
    this.control.on("message", (data: Buffer) => this.#receive(this.#read(data).toString()));
    const { promise, resolve } = Promise.withResolvers<{ code: number; reason: string }>();
    this.closed = promise;
    this.control.once("close", (code: number, reason: Buffer) => resolve({ code, reason: String(reason) }));
    closedAtTheEnd(() => this[Symbol.asyncDispose]());
  }

  /** Resolves when the control plane has sent its first command. */
  static async connect(options: RevDialClientOptions): Promise<RevDialClient> {
    const client = new RevDialClient(options);
    await within(
      client.commands.find(() => true, "the first command"),
      "a RevDial client's connection",
    );
    return client;
  }

  /** The status with which a connection like this client's is refused. */
  static async refusal(url: string, token: string): Promise<number> {
    const socket = new WebSocket(url, { headers: { authorization: `Bearer ${token}` } });
    socket.on("error", () => {}); // permanent
    const [, response] = await next<[unknown, { statusCode: number; resume(): void }]>(
      socket,
      "unexpected-response",
    );
    response.resume();
    socket.terminate();
    return response.statusCode;
  }

  open(url: string, token: string = this.#options.token ?? ADMIN_TOKEN): WebSocket {
    const { ca } = this.#options;
    const socket = new WebSocket(url, {
      headers: { authorization: `Bearer ${token}` },
      perMessageDeflate: false,
      ...(ca !== undefined && { ca }),
    });
    socket.on("error", () => {}); // permanent
    return socket;
  }

  /** A line on the control connection. */
  send(line: string): void {
    this.control.send(Buffer.from(`${line}\n`));
  }

  pickupUrl(path: string): string {
    const { url, pickupUrl = url, prefix = "/api/v1" } = this.#options;
    return pickupUrl + path.replace("/revdial", `${prefix}/revdial`);
  }

  /** Connects for a dial, and joins the connection with the target. */
  async pickUp(path: string): Promise<void> {
    const socket = this.open(this.pickupUrl(path));
    this.data.add(socket);
    socket.once("close", () => this.data.delete(socket));
    // In the event itself: the first messages may share a packet with the 101.
    const read = (data: Buffer): Buffer => this.#read(data);
    socket.once("open", () => joinAsGo(socket, connectTo(this.#options.target.address), read));
    try {
      await next(socket, "open");
    } catch (error) {
      this.send(JSON.stringify({ command: "pickup-failed", connPath: path, err: String(error) }));
    }
  }

  /** As its process: without a word, and with all connections. */
  kill(): void {
    this.control.terminate();
    for (const socket of this.data) socket.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.closed;
  }

  #read(message: Buffer): Buffer {
    return this.#options.prefix === "" ? message.subarray(0, READ_BYTES) : message;
  }

  #receive(text: string): void {
    const lines = (this.#received + text).split("\n");
    this.#received = lines.pop() ?? "";
    for (const line of lines) {
      const command = JSON.parse(line) as Command;
      this.commands.push(command);
      if (command.command !== "conn-ready" || command.connPath === undefined) continue;
      if (this.#options.onDial === undefined) void this.pickUp(command.connPath);
      else this.#options.onDial(command.connPath, this);
    }
  }
}

export function connectTo(address: string): net.Socket {
  if (address.startsWith("unix:")) return net.connect(address.slice("unix:".length));
  const { hostname, port } = new URL(`tcp://${address}`);
  return net.connect(Number(port), hostname);
}

/** The first end of one direction closes both connections; on the data connection without a Close frame. */
function joinAsGo(socket: WebSocket, local: net.Socket, read: (message: Buffer) => Buffer): void {
  let isSending = false;
  let hasEnded = false;
  const close = (): void => {
    local.destroy();
    socket.terminate(); // what was sent is in the kernel, and leaves before the FIN
  };
  const send = (chunk: Buffer): void => {
    isSending = chunk.length > 0;
    if (isSending) {
      socket.send(chunk.subarray(0, MESSAGE_BYTES), () => send(chunk.subarray(MESSAGE_BYTES)));
    } else if (hasEnded) close();
    else local.resume();
  };
  local.on("error", () => {}); // permanent; 'close' follows
  local.on("data", (chunk: Buffer) => {
    local.pause();
    send(chunk);
  });
  local.once("end", () => {
    hasEnded = true;
    if (!isSending) close();
  });
  local.once("close", () => {
    if (!isSending) close();
  });
  socket.on("message", (data: Buffer) => {
    if (local.write(read(data))) return;
    socket.pause();
    local.once("drain", () => socket.resume());
  });
  socket.once("close", () => local.end());
}
