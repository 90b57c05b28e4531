/** A `Dial` from anywhere: CONNECT at the control plane's forward proxy. */
import http from "node:http";
import https from "node:https";
import net from "node:net";
import type { Duplex } from "node:stream";
import type { Dial } from "../wire/dial.ts";
import { codeFromStatus } from "../wire/error-table.ts";
import { TurnaboutError } from "../wire/errors.ts";
import { formatAuthority } from "../wire/names.ts";
import { parseProxyStatus } from "../wire/proxy-status.ts";

export interface RemoteDialOptions {
  /** URL of the control plane. */
  server: string;
  token: string;
  /** PEM of a private CA, in place of the system's. */
  ca?: string | undefined;
}

export function createRemoteDial(remote: RemoteDialOptions): Dial {
  const url = new URL(remote.server);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return (runner, target, options = {}) => {
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>();
    const label = `dial ${runner} ${target}`;
    const authority = formatAuthority({ runner, target });
    const request = (url.protocol === "https:" ? https : http).request({
      host,
      port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : url.port,
      method: "CONNECT",
      path: authority,
      agent: false,
      // Else node takes it from the Host field below, which names the target.
      servername: net.isIP(host) === 0 ? host : "",
      ...(remote.ca !== undefined && { ca: remote.ca }),
      headers: {
        host: authority,
        "proxy-authorization": `Bearer ${remote.token}`,
        ...(options.waitMs !== undefined && { prefer: `wait=${Math.ceil(options.waitMs / 1_000)}` }),
      },
    });
    const onAbort = () => request.destroy(new TurnaboutError("aborted", `${label}: given up`));
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const settled = () => options.signal?.removeEventListener("abort", onAbort);
    request.once("connect", (response, socket, head) => {
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
    request.once("error", (cause) => {
      settled();
      if (cause instanceof TurnaboutError) reject(cause);
      else reject(new TurnaboutError("carrier_failed", `${label}: ${cause.message}`, { cause }));
    });
    if (options.signal?.aborted === true) onAbort();
    request.end();
    return promise;
  };
}
