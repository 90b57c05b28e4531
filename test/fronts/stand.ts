/** One TLS terminator with a complete Turnabout behind it. */
import { createControlPlane } from "../../src/control/control-plane.ts";
import type { ControlPlane } from "../../src/control/control-plane.ts";
import type { AgentOptions } from "../../src/agent/config.ts";
import { file, followAgent } from "../support/agents.ts";
import type { FollowedAgent } from "../support/agents.ts";
import { eventually } from "../support/events.ts";
import { createPki, issueServer } from "../support/pki.ts";
import type { Pki } from "../support/pki.ts";
import { ADMIN_TOKEN, RUNNER, TARGET } from "../support/system.ts";
import { startProxy } from "./proxies.ts";
import type { TlsTerminator, ProxyName } from "./proxies.ts";
import { startService } from "./service.ts";
import type { Service } from "./service.ts";

export interface Stand extends AsyncDisposable {
  readonly name: ProxyName;
  readonly controlPlane: ControlPlane;
  readonly proxy: TlsTerminator;
  readonly service: Service;
  readonly pki: Pki;
  /** The terminator, in the form that openCaller() takes. */
  readonly endpoint: { controlPlane: { port: number }; pki: Pki };
  /** An agent that dials the terminator; it serves `runner-1` with the service. Does not wait. */
  agent(options?: Partial<AgentOptions>, port?: number): FollowedAgent;
  /** Waits until `runner-1` has so many connections. */
  connected(count: number): Promise<void>;
}

export interface StandOptions {
  /** Time limits of the proxy, in place of an hour. */
  idleS?: number;
  /** Of both ends. Default 1 s. */
  pingIntervalMs?: number;
}

export async function startStand(
  name: ProxyName,
  { idleS, pingIntervalMs = 1_000 }: StandOptions = {},
): Promise<Stand> {
  const pki = await createPki();
  const credential = await issueServer(pki);
  const service = await startService();
  const controlPlane = await createControlPlane({
    port: 0,
    host: "127.0.0.1",
    adminToken: ADMIN_TOKEN,
    drainMs: 1_000,
    tls: credential, // for TLS that is passed through; the terminators use plaintext on the same port
    trustedProxies: ["127.0.0.1"],
    forwardedPrefix: true, // so that a prefix that the proxy lets pass is seen
    proxyProtocol: "allow",
    pingIntervalMs,
  });
  const proxy = await startProxy(name, {
    toPort: controlPlane.port,
    credential,
    ...(idleS !== undefined && { idleS }),
  });
  const caFile = file(pki.ca);
  return {
    name,
    controlPlane,
    proxy,
    service,
    pki,
    endpoint: { controlPlane: proxy, pki },
    agent: (options = {}, port = proxy.port) =>
      followAgent({
        server: `https://localhost:${port}`,
        caFile,
        runners: { [RUNNER]: { [TARGET]: service.address } },
        connections: 2,
        pingIntervalMs,
        ...options,
      }),
    connected: (count) =>
      eventually(
        () => controlPlane.runners().some(({ connections }) => connections.length === count),
        `${count} connections through ${name}`,
        20_000,
      ),
    [Symbol.asyncDispose]: async () => {
      await controlPlane.close();
      await proxy[Symbol.asyncDispose]();
      await service.close();
    },
  };
}
