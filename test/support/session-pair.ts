/** A tunnel connection, both ends in this process, made by our own openReversed() and serveReversed(). */
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from "node:http2";
import { openReversed, serveReversed } from "../../src/wire/session/reversed-session.ts";
import { TunnelSocket } from "../../src/wire/streams/tunnel-socket.ts";
import { openCarrier } from "./carriers.ts";
import type { CarrierPair, TestCarrier } from "./carriers.ts";
import { closedAtTheEnd } from "./cleanup.ts";
import { next } from "./events.ts";

export interface SessionPair extends AsyncDisposable {
  readonly carrier: CarrierPair;
  /** The agent's end: HTTP server role. */
  readonly agent: ServerHttp2Session;
  /** The control plane's end: HTTP client role. */
  readonly control: ClientHttp2Session;
  /** A CONNECT stream to `name`, as it is. */
  connect(name?: string): ClientHttp2Stream;
  /** A CONNECT stream to `name`, as consumers get it. */
  tunnel(name?: string): TunnelSocket;
  /** The agent's end of the stream that is opened next. Ask before opening. */
  nextStream(): Promise<ServerHttp2Stream>;
  close(): Promise<void>;
}

export interface SessionPairOptions {
  carrier?: TestCarrier;
  /** Puts a faulty path below the carrier: `pair.carrier.path`. */
  faulty?: boolean;
  /** The agent's side of every stream. Default: responds with 200 and nothing else. */
  onStream?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;
}

export async function openSessionPair(options: SessionPairOptions = {}): Promise<SessionPair> {
  const carrier = await openCarrier(options.carrier ?? "unix", { faulty: options.faulty ?? false });
  const onStream = options.onStream ?? ((stream) => stream.respond({ ":status": 200 }));
  const accept = (session: ServerHttp2Session): void => {
    session.on("stream", (stream, headers) => {
      stream.on("error", () => {}); // permanent
      onStream(stream, headers);
    });
  };
  const [agent, control] = await Promise.all([
    serveReversed(carrier.agent, accept),
    openReversed(carrier.control),
  ]);
  const connect = (name = "echo.runner"): ClientHttp2Stream => {
    const stream = control.request({ ":method": "CONNECT", ":authority": name });
    stream.on("error", () => {}); // permanent
    return stream;
  };
  const close = closedAtTheEnd(async () => {
    const open = [agent, control].filter((session) => !session.destroyed);
    const ended = open.map(
      (session) => new Promise<void>((resolve) => session.once("close", () => resolve())),
    );
    agent.destroy();
    control.destroy();
    await carrier.close();
    await Promise.all(ended);
  });
  return {
    carrier,
    agent,
    control,
    connect,
    tunnel: (name) => {
      const socket = new TunnelSocket(connect(name), name ?? "echo.runner");
      socket.on("error", () => {}); // permanent
      return socket;
    },
    nextStream: async () => {
      const [stream] = await next<[ServerHttp2Stream]>(agent, "stream");
      return stream;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Sends back what it gets. */
export function echoStream(stream: ServerHttp2Stream): void {
  stream.respond({ ":status": 200 });
  stream.pipe(stream);
}
