/** A local port or Unix socket whose connections go to a target. */
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import type { RemoteConnection } from "../../clients/dial/remote-connection.ts";
import { toError } from "../../wire/errors.ts";
import { abort, splice } from "../../wire/streams/splice.ts";
import { FORWARD_WAIT_MS, MAX_FORWARDED } from "./limits.ts";
import { freeSocketPath } from "../../agent/relay/unix-socket.ts";
import type { Mapping } from "./mapping.ts";
import type { WaitNotices } from "./wait-notices.ts";

/** A connection that has ended. */
export interface Passed {
  /** Of the local client. */
  peer: string;
  sentBytes: number;
  receivedBytes: number;
  durationMs: number;
  /** Why it was refused or cut; undefined if it ended cleanly. */
  error: string | undefined;
}

export interface Forwarder extends AsyncDisposable {
  /** With the port that was chosen. */
  listen: Mapping["listen"];
}

export interface ForwarderParts {
  remote: RemoteConnection;
  notices: WaitNotices;
  onPassed: (passed: Passed) => void;
  /** Looks at a connection before it is forwarded; false closes it. Default: all are. */
  admits?: (local: net.Socket) => Promise<boolean>;
}

/** Of what is open when forwarding is ended. */
const STOPPED = "closed, because forwarding has ended";

/** @throws the system's error if it cannot listen there; TurnaboutError `config_invalid` for what is at a socket's path */
export async function startForwarder(
  { listen, destination }: Mapping,
  { remote, notices, onPassed, admits = async () => true }: ForwarderParts,
): Promise<Forwarder> {
  const open = new Set<net.Socket>();
  let isStopped = false;
  const server = net.createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true });
  server.maxConnections = MAX_FORWARDED;
  server.on("connection", (local) => {
    open.add(local);
    local.once("close", () => open.delete(local));
    void pass(local);
  });

  async function pass(local: net.Socket): Promise<void> {
    const began = performance.now();
    const peer =
      local.remoteAddress === undefined ? "local" : `${local.remoteAddress}:${local.remotePort ?? 0}`;
    let cause: Error | undefined;
    local.on("error", () => {}); // permanent: its end is reported below
    try {
      if (!(await admits(local))) throw new Error("refused: the request is not for this address");
      const { runner, target } = destination;
      const tunnel = await remote.open(runner, target, { waitMs: FORWARD_WAIT_MS, onlyKnown: true });
      notices.watchDial(tunnel, runner, `up to ${FORWARD_WAIT_MS / 1_000} s`);
      tunnel.on("error", (error) => (cause ??= error));
      splice(local, tunnel, () => {
        onPassed({
          peer,
          sentBytes: tunnel.bytesWritten,
          receivedBytes: tunnel.bytesRead,
          durationMs: performance.now() - began,
          error: isStopped ? STOPPED : cause?.message,
        });
      });
    } catch (error) {
      if (!local.writableEnded) abort(local);
      const { message } = toError(error);
      onPassed({
        peer,
        sentBytes: 0,
        receivedBytes: 0,
        durationMs: performance.now() - began,
        error: isStopped ? STOPPED : message,
      });
    }
  }

  if ("path" in listen) await freeSocketPath(listen.path);
  const failed = once(server, "error").then(([error]) => {
    throw error as Error;
  });
  server.listen(listen);
  await Promise.race([once(server, "listening"), failed]);
  failed.catch(() => {});
  server.on("error", () => {}); // permanent: a connection that could not be accepted; the next one may be
  const bound = server.address();
  return {
    listen: "path" in listen ? listen : { host: listen.host, port: (bound as AddressInfo).port },
    async [Symbol.asyncDispose]() {
      isStopped = true;
      const closed = once(server, "close");
      server.close();
      for (const local of open) abort(local);
      await closed;
    },
  };
}
