/** A `Dial` from anywhere: CONNECT at the control plane's forward proxy. */
import http from "node:http";
import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import type { Dial } from "../../wire/streams/dial.ts";
import { codeFromStatus } from "../../wire/failure-codes.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { formatAuthority } from "../../wire/messages/names.ts";
import { parseProxyStatus } from "../../wire/fields/proxy-status.ts";
import { isShuttingDown } from "../../wire/streams/splice.ts";
import { sniName } from "../../wire/tls/server-name.ts";
import { splitZone, withZone } from "../../wire/fields/url-zone.ts";

export interface RemoteDialOptions {
  /** URL of the control plane. */
  server: string;
  token: string;
  /** PEM of a private CA, in place of the system's. */
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
    // For ever; of a connection inside TLS nobody else would hear.
    tcp.on("error", (error) => request.destroy(error));
    const onAbort = () => request.destroy(new TurnaboutError("aborted", `${label}: given up`));
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const settled = () => options.signal?.removeEventListener("abort", onAbort);
    request.once("connect", (response, _socket, head) => {
      settled();
      const status = response.statusCode ?? 0;
      if (status === 200) {
        socket.allowHalfOpen = true; // the target's end is not ours
        if (head.length > 0) socket.unshift(head);
        return resolve(socket);
      }
      socket.destroy();
      const code = parseProxyStatus(response.headers["proxy-status"]) ?? codeFromStatus(status);
      reject(new TurnaboutError(code, `${label}: the control plane answered ${status}`));
    });
    request.on("error", (cause) => {
      settled();
      socket.destroy();
      if (cause instanceof TurnaboutError) reject(cause);
      else reject(new TurnaboutError("carrier_failed", `${label}: ${cause.message}`, { cause }));
    });
    if (options.signal?.aborted === true) onAbort();
    request.end();
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
  // Half-open, because one end of a tunnel may finish long before the other.
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
 * A socket that is destroyed sends FIN, which at the other end of a tunnel means no more than that we have said
 * everything: the target would go on for ever. Only a RST says that nobody is there.
 */
function resetUnlessFinished(socket: net.Socket, tcp: net.Socket): void {
  const destroy = tcp.destroy.bind(tcp);
  // A TLS socket that is destroyed destroys the one below.
  tcp.destroy = (error) => {
    // resetAndDestroy() calls destroy() in its turn, and without the error.
    tcp.destroy = () => destroy(error);
    const isFinished = socket.writableFinished && socket.readableEnded;
    // Until 26 at least, a reset while a FIN is on its way fails with EINVAL and leaves the descriptor open for ever.
    const mayReset = !isFinished && !isShuttingDown(tcp) && !tcp.connecting && !tcp.destroyed;
    return mayReset ? tcp.resetAndDestroy() : tcp.destroy();
  };
}
