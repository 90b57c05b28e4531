/** The options of a control plane, and their checked form with the defaults filled in. */
import { TurnaboutError } from "../wire/errors.ts";
import { DRAIN_DEADLINE_MS } from "../wire/limits.ts";
import { RecentLog } from "../wire/diagnosis/recent-log.ts";
import type { Logger } from "../wire/log.ts";
import { formatAuthority, parseRunnerId } from "../wire/messages/names.ts";
import type { Destination } from "../wire/messages/names.ts";
import type { KeepaliveOptions } from "../wire/session/keepalive.ts";
import type { Tracing } from "../wire/trace/tracing.ts";
import { checkPair } from "../wire/tls/pem.ts";
import { matchesPattern } from "./auth/identity.ts";
import type { TokenRecord } from "./auth/tokens.ts";
import type { ControlPlaneCluster } from "./cluster/cluster.ts";
import type { ControlPlaneExtension } from "./extension.ts";
import { GRACE_MS, WARM_UP_MS } from "./limits.ts";
import type { PortTls } from "./listener/port.ts";
import type { RegistryEvent } from "./registry/registry.ts";
import type { TlsFiles } from "./reload/tls-files.ts";
import type { ShareOptions } from "./shares/fair-shares.ts";
import { PlaintextPolicy } from "./trusted-proxies/plaintext-policy.ts";
import { TrustedProxies } from "./trusted-proxies/trusted-proxies.ts";
import type { TrustedProxiesOptions } from "./trusted-proxies/trusted-proxies.ts";

export interface ControlPlaneOptions extends KeepaliveOptions, TrustedProxiesOptions, ShareOptions {
  /** Port to listen on. 0 takes a free one. Default 8080. */
  port?: number | undefined;
  /** Address to listen on. Default: all. */
  host?: string | undefined;
  /**
   * Descriptor of a socket that is bound, and may listen already: inherited from systemd, from a supervisor, or from a control
   * plane that this one succeeds (`listenFd()`). `port` and `host` do not count.
   */
  listenFd?: number | undefined;
  /** PEM texts; with them the same port speaks TLS besides plaintext. */
  tls?: PortTls | undefined;
  /**
   * Addresses and CIDR blocks that may send credentials without TLS although the port speaks TLS, besides this machine and
   * trusted proxies. Default none.
   */
  plainHttpFrom?: readonly string[] | undefined;
  /** The same as files, which are followed: new connections get the new certificate, open ones stay. */
  tlsFiles?: TlsFiles | undefined;
  /** Where state survives a restart (SQLite). Default: in memory only. */
  dataDirectory?: string | undefined;
  /** How long another process that still holds the data directory is waited for, in milliseconds. Default 0. */
  dataDirectoryWaitMs?: number | undefined;
  /** A token that may do everything. */
  adminToken?: string | undefined;
  /** Further tokens, as hashes. */
  tokens?: readonly TokenRecord[] | undefined;
  /** JSON file with further tokens; followed for changes. */
  tokenFile?: string | undefined;
  /** Origins from which a cookie is accepted for WebSockets and changes, besides the control plane's own. */
  allowedOrigins?: readonly string[] | undefined;
  /**
   * Targets whose pages keep the control plane's origin where a browser opens them with its cookie, as
   * `<target>.<runner>`, with `*` for any run of characters. A script on such a page may do whatever its viewer may.
   * Default: none.
   */
  trustedPages?: readonly string[] | undefined;
  /**
   * URL that agents dial. Its host is a name of the control plane's own, also where it looks like `<target>.<runner>`;
   * extensions pass the URL on to the agents that they start.
   */
  agentUrl?: string | undefined;
  /** Path in front of all routes, where a proxy does not strip it. Default none. */
  basePath?: string | undefined;
  /** Time after a lost connection in which dials wait. Default 30,000. */
  graceMs?: number | undefined;
  /** Time after a start in which runners known before are awaited. Default 30,000. */
  warmUpMs?: number | undefined;
  /** A target's response header. Default 60,000. */
  responseTimeoutMs?: number | undefined;
  /** How long `close()` waits for open streams. Default 30,000. */
  drainMs?: number | undefined;
  /** Whether clients of RevDial's protocol are accepted at the agent endpoint. Default true. */
  revdial?: boolean | undefined;
  /** `/readyz` is 200 only while these runners are connected. Default none. */
  readyWhenConnected?: readonly string[] | undefined;
  log?: Logger | undefined;
  /** File that gets a JSON line for each request, WebSocket, CONNECT and dial at its end; `-` is standard output. Default: none. */
  accessLog?: string | undefined;
  /** Traces requests to targets: `openTelemetry(provider)`. Default: none, and trace fields of callers pass unchanged. */
  tracing?: Tracing | undefined;
  /** Runners: connects, losses, replacements. */
  onEvent?: ((event: RegistryEvent) => void) | undefined;
  /** Products built on the tunnel. Default: none. */
  extensions?: readonly ControlPlaneExtension[] | undefined;
  /** Works with other control planes as one of several nodes: `createCluster()` of `turnabout/cluster`. Default: alone. */
  cluster?: ControlPlaneCluster | undefined;
}

const DEFAULT_PORT = 8080;

export interface Settings extends ControlPlaneOptions {
  port: number;
  log: RecentLog;
  allowedOrigins: readonly string[];
  basePath: string;
  extensions: readonly ControlPlaneExtension[];
  graceMs: number;
  warmUpMs: number;
  drainMs: number;
  readyWhenConnected: readonly string[];
  proxies: TrustedProxies;
  /** Undefined without TLS: then nobody could do better. */
  plaintext: PlaintextPolicy | undefined;
  /** Whether the operator trusts pages of this target with the control plane's origin. */
  trustsPages: (destination: Destination) => boolean;
}

/** @throws TurnaboutError `config_invalid` */
export function checkOptions(options: ControlPlaneOptions): Settings {
  const { tls, readyWhenConnected = [] } = options;
  for (const id of readyWhenConnected) parseRunnerId(id);
  const { listenFd } = options;
  if (listenFd !== undefined && !(Number.isInteger(listenFd) && listenFd >= 0)) {
    throw new TurnaboutError("config_invalid", `listenFd ${listenFd}: use the number of a descriptor`);
  }
  if (tls !== undefined) {
    checkPair({ text: tls.cert, from: "tls.cert" }, { text: tls.key, from: "tls.key" });
  }
  const proxies = new TrustedProxies(options);
  const policy = new PlaintextPolicy(proxies, options.plainHttpFrom ?? []);
  return {
    ...options,
    port: options.port ?? DEFAULT_PORT,
    log: RecentLog.of(options.log),
    allowedOrigins: options.allowedOrigins ?? [],
    basePath: checkBasePath(options.basePath ?? ""),
    extensions: options.extensions ?? [],
    graceMs: options.graceMs ?? GRACE_MS,
    warmUpMs: options.warmUpMs ?? WARM_UP_MS,
    drainMs: options.drainMs ?? DRAIN_DEADLINE_MS,
    readyWhenConnected,
    proxies,
    plaintext: (tls ?? options.tlsFiles) === undefined ? undefined : policy,
    trustsPages: pageTrust(options.trustedPages ?? []),
  };
}

function checkBasePath(basePath: string): string {
  const trimmed = basePath.replace(/\/+$/, "");
  if (trimmed !== "" && !/^(\/[\w.~-]+)+$/.test(trimmed)) {
    throw new TurnaboutError(
      "config_invalid",
      `base path ${JSON.stringify(basePath)}: use /name or /name/name`,
    );
  }
  return trimmed;
}

/** @throws TurnaboutError `config_invalid` */
function pageTrust(patterns: readonly string[]): (destination: Destination) => boolean {
  for (const pattern of patterns) {
    if (/^[a-z0-9_*-]+\.[a-z0-9_*-]+$/.test(pattern)) continue;
    throw new TurnaboutError(
      "config_invalid",
      `trusted pages ${JSON.stringify(pattern)}: use <target>.<runner>, with * for any characters`,
    );
  }
  return (destination) => patterns.some((pattern) => matchesPattern(pattern, formatAuthority(destination)));
}
