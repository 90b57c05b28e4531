/**
 * Dials of another process over one HTTP/2 connection to the control plane's forward proxy: each is a `CONNECT` stream, and
 * the caller's first bytes leave with it, without waiting for a response.
 */
import http2 from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import net from "node:net";
import tls from "node:tls";
import { TurnaboutError } from "../../wire/errors.ts";
import { splitZone, withZone } from "../../wire/fields/url-zone.ts";
import { formatAuthority } from "../../wire/messages/names.ts";
import { describeDeath, keepAlive } from "../../wire/session/keepalive.ts";
import { endHttp2Session, guardHttp2Session, hasEnded } from "../../wire/streams/end-stream.ts";
import { TunnelSocket } from "../../wire/streams/tunnel-socket.ts";
import { certificateName, sniName } from "../../wire/tls/server-name.ts";
import {
  CONNECT_TIMEOUT_MS,
  CONNECTION_WINDOW_BYTES,
  DEFAULT_MAX_STREAMS,
  MAX_REMOTE_CONNECTIONS,
  STREAM_WINDOW_BYTES,
} from "./limits.ts";
import { refusedConnect } from "./refusal.ts";
import type { RemoteDialOptions } from "./remote-dial.ts";
import { SILENT_HINT, unreachable } from "./unreachable.ts";

/** Of one dial on a connection that is open or being opened. */
export interface RemoteOpenOptions {
  /** Milliseconds for which the control plane waits for a runner that is not connected. Default 0. */
  waitMs?: number | undefined;
  /** It does not wait for a runner that has never connected: its name may be wrong. Default false. */
  onlyKnown?: boolean | undefined;
}

/** Connects at the first dial, and again where the connection was lost or is full. */
export class RemoteConnection {
  readonly #remote: RemoteDialOptions;
  readonly #url: URL;
  readonly #zone: string | undefined;
  #sessions: Session[] = [];
  #connecting: Promise<Session> | undefined;
  #isClosed = false;

  constructor(remote: RemoteDialOptions) {
    const { text, zone } = splitZone(remote.server);
    this.#remote = remote;
    this.#url = new URL(text);
    this.#zone = zone;
  }

  /**
   * A socket that may be written to at once. A refusal destroys it with a TurnaboutError that has the reason; what had been
   * written is lost then.
   *
   * @throws TurnaboutError `carrier_failed` if the control plane cannot be reached or speaks no HTTP/2, `overloaded` if
   * {@link MAX_REMOTE_CONNECTIONS} are full
   */
  async open(
    runner: string,
    target: string,
    { waitMs = 0, onlyKnown = false }: RemoteOpenOptions = {},
  ): Promise<TunnelSocket> {
    const authority = formatAuthority({ runner, target });
    let session = await this.#session();
    // Others that waited as well may have taken the last place.
    while (!session.hasRoom) session = await this.#session();
    const stream = session.http2Session.request(
      {
        ":method": "CONNECT",
        ":authority": authority,
        "proxy-authorization": `Bearer ${this.#remote.token}`,
        ...(waitMs > 0 && { prefer: `wait=${Math.ceil(waitMs / 1_000)}${onlyKnown ? "; known" : ""}` }),
      },
      { endStream: false },
    );
    return new TunnelSocket(stream, `${runner} ${target}`, {
      refused: (headers, label) => refusedConnect(headers[":status"] ?? 0, headers, label),
      peer: "control plane",
      resetHint:
        "the target's log, or the control plane's access log, has the reason; a token that was revoked ends its tunnels too",
    });
  }

  /** Connects now, if there is no connection with room: the next dial then takes one round trip. @throws TurnaboutError */
  async warm(): Promise<void> {
    await this.#session();
  }

  /** What is open ends with an error. */
  close(): void {
    this.#isClosed = true;
    const reason = new TurnaboutError("aborted", "the connection to the control plane was closed");
    for (const { http2Session } of this.#sessions) endHttp2Session(http2Session, reason);
  }

  async #session(): Promise<Session> {
    if (this.#isClosed) throw new TurnaboutError("aborted", "dial: closed");
    const free = this.#sessions.find((session) => session.hasRoom);
    if (free !== undefined) return free;
    if (this.#sessions.filter(({ isDraining }) => !isDraining).length >= MAX_REMOTE_CONNECTIONS) {
      const full = `dial: ${MAX_REMOTE_CONNECTIONS} connections to the control plane are full`;
      throw new TurnaboutError("overloaded", full);
    }
    this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined));
    return this.#connecting;
  }

  async #connect(): Promise<Session> {
    const socket = await connect(this.#url, this.#zone, this.#remote);
    const session = new Session(socket, this.#url.origin);
    await session.ready();
    if (!session.hasRoom) {
      const useless = new TurnaboutError("carrier_failed", "the server takes no streams on a new connection");
      endHttp2Session(session.http2Session, useless);
      throw useless;
    }
    this.#sessions.push(session);
    session.http2Session.once("close", () => {
      this.#sessions = this.#sessions.filter((each) => each !== session);
    });
    if (this.#isClosed) this.close();
    return session;
  }
}

class Session {
  readonly http2Session: ClientHttp2Session;
  readonly #socket: net.Socket;
  #streams = 0;
  isDraining = false;

  constructor(socket: net.Socket, origin: string) {
    this.#socket = socket;
    this.http2Session = http2.connect(origin, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
    });
    const { http2Session } = this;
    guardHttp2Session(http2Session);
    http2Session.on("error", () => {}); // permanent: its streams report it
    http2Session.once("goaway", () => (this.isDraining = true));
    const request = http2Session.request.bind(http2Session);
    const counted: typeof request = (...args): ClientHttp2Stream => {
      const stream = request(...args);
      this.#streams += 1;
      stream.once("close", () => (this.#streams -= 1));
      return stream;
    };
    http2Session.request = counted;
  }

  get hasRoom(): boolean {
    const { closed, remoteSettings } = this.http2Session;
    if (closed || this.isDraining || hasEnded(this.http2Session)) return false;
    return this.#streams < (remoteSettings.maxConcurrentStreams ?? DEFAULT_MAX_STREAMS);
  }

  /** The server has sent its SETTINGS: it does speak HTTP/2. */
  async ready(): Promise<void> {
    const { http2Session } = this;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const noHttp2 = (cause?: Error): void => {
      reject(
        new TurnaboutError(
          "carrier_failed",
          `the server speaks no HTTP/2${cause ? `: ${cause.message}` : ""}`,
          {
            cause,
            hint: "the port or the reverse proxy in front of it has to accept HTTP/2 and CONNECT: use the control plane's own port",
          },
        ),
      );
    };
    const timer = setTimeout(() => {
      const what = `no SETTINGS within ${CONNECT_TIMEOUT_MS} ms`;
      const reason = new TurnaboutError("carrier_failed", what, { hint: SILENT_HINT });
      endHttp2Session(http2Session, reason);
      reject(reason);
    }, CONNECT_TIMEOUT_MS);
    http2Session.once("remoteSettings", () => resolve());
    http2Session.once("error", noHttp2);
    http2Session.once("close", () => noHttp2());
    try {
      await promise;
    } finally {
      clearTimeout(timer);
    }
    http2Session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    keepAlive(
      http2Session,
      () => this.#socket.bytesRead,
      (death) => {
        const what = `the connection to the control plane was lost: ${describeDeath(death)}`;
        endHttp2Session(http2Session, new TurnaboutError("tunnel_lost", what));
      },
    );
  }
}

async function connect(
  url: URL,
  zone: string | undefined,
  { server, ca }: Pick<RemoteDialOptions, "ca" | "server">,
): Promise<net.Socket> {
  const isTls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  const address = { host: withZone(host, zone), port, noDelay: true };
  const socket = isTls
    ? tls.connect({
        ...address,
        servername: sniName(host),
        checkServerIdentity: (_name, certificate) =>
          tls.checkServerIdentity(certificateName(host), certificate),
        ALPNProtocols: ["h2"],
        ...(ca !== undefined && { ca }),
      })
    : net.connect(address);
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
  const fail = (cause: Error): void => {
    socket.destroy();
    reject(unreachable(cause, "dial", splitZone(server).text));
  };
  socket.setTimeout(CONNECT_TIMEOUT_MS, () =>
    fail(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
  );
  socket.on("error", fail); // permanent
  socket.once("close", () => fail(new Error("closed")));
  socket.once(isTls ? "secureConnect" : "connect", () => {
    socket.setTimeout(0);
    resolve(socket);
  });
  return promise;
}
