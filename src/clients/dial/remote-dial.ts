/** A `Dial` for other processes: CONNECT to the control plane's forward proxy. */
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import type { Dial } from "../../wire/streams/dial.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { formatAuthority } from "../../wire/messages/names.ts";
import { isShuttingDown } from "../../wire/streams/splice.ts";
import { EarlySocket } from "./early-socket.ts";
import { refusedConnect } from "./refusal.ts";
import { sniName } from "../../wire/tls/server-name.ts";
import { splitZone, withZone } from "../../wire/fields/url-zone.ts";

export interface RemoteDialOptions {
  /** URL of the control plane. */
  server: string;
  token: string;
  /** PEM of a private CA, instead of the system's. */
  ca?: string | undefined;
}

export function createRemoteDial(remote: RemoteDialOptions): Dial {
  const { text, zone } = splitZone(remote.server);
  const url = new URL(text);
  return (runner, target, options = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    const label = `dial ${runner} ${target}`;
    const authority = formatAuthority({ runner, target });
    const { tcp, socket } = connect(url, zone, remote.ca);
    resetUnlessFinished(socket, tcp);
    const request = http.request({
      createConnection: () => socket,
      method: "CONNECT",
      path: authority,
      headers: {
        host: authority,
        "proxy-authorization": `Bearer ${remote.token}`,
        ...(options.waitMs !== undefined && { prefer: `wait=${Math.ceil(options.waitMs / 1_000)}` }),
      },
    });
    const early =
      options.early === true
        ? new EarlySocket(
            socket,
            once(request, "finish").then(() => {}),
          )
        : undefined;
    const fail = (error: TurnaboutError): void => {
      reject(error);
      early?.destroy(error);
      socket.destroy();
    };
    // Never removed; errors of a socket below TLS are reported nowhere else.
    tcp.on("error", (error) => request.destroy(error));
    const onAbort = () => {
      const cause: unknown = options.signal?.reason;
      request.destroy(new TurnaboutError("aborted", `${label}: aborted`, { cause }));
    };
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const settled = () => options.signal?.removeEventListener("abort", onAbort);
    request.once("connect", (response, _socket, head) => {
      settled();
      const status = response.statusCode ?? 0;
      if (status === 200) {
        socket.allowHalfOpen = true; // the target's end must not end our half
        if (early !== undefined) return early.open(head);
        if (head.length > 0) socket.unshift(head);
        return resolve(socket);
      }
      fail(refusedConnect(status, response.headers, label));
    });
    request.on("error", (cause) => {
      settled();
      if (cause instanceof TurnaboutError) fail(cause);
      else fail(new TurnaboutError("carrier_failed", `${label}: ${cause.message}`, { cause }));
    });
    if (options.signal?.aborted === true) onAbort();
    request.end();
    if (early !== undefined) resolve(early);
    return promise;
  };
}

/** `tcp` is below `socket`, or the same. */
function connect(
  url: URL,
  zone: string | undefined,
  ca: string | undefined,
): { tcp: net.Socket; socket: net.Socket } {
  const isTls = url.protocol === "https:";
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  // Half-open: one end of a tunnel may end long before the other.
  const tcp = net.connect({ host: withZone(host, zone), port, allowHalfOpen: true, noDelay: true });
  if (!isTls) return { tcp, socket: tcp };
  const socket = tls.connect({
    socket: tcp,
    host,
    servername: sniName(host),
    ALPNProtocols: ["http/1.1"],
    ...(ca !== undefined && { ca }),
  });
  return { tcp, socket };
}

/**
 * Destroying a socket sends FIN, which at the other end of a tunnel only means that we have sent everything: the target
 * would keep sending. Only a RST makes it stop.
 */
function resetUnlessFinished(socket: net.Socket, tcp: net.Socket): void {
  const destroy = tcp.destroy.bind(tcp);
  // A TLS socket that is destroyed destroys the one below.
  const reset: typeof destroy = (error) => {
    // resetAndDestroy() calls destroy() itself, without the error.
    const destroyOnly = (): net.Socket => destroy(error);
    tcp.destroy = destroyOnly;
    const isFinished = socket.writableFinished && socket.readableEnded;
    // Up to Node 26 at least, a reset while a FIN is on its way fails with EINVAL and leaks the descriptor.
    const mayReset = !isFinished && !isShuttingDown(tcp) && !tcp.connecting && !tcp.destroyed;
    return mayReset ? tcp.resetAndDestroy() : tcp.destroy();
  };
  tcp.destroy = reset;
}
