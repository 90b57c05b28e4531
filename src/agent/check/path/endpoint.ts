/** Whether the agent endpoint is at the URL, by its response to a request without a token. */
import { randomBytes } from "node:crypto";
import { isErrorCode } from "../../../wire/error-table.ts";
import type { ErrorCode } from "../../../wire/error-table.ts";
import { parseBoundedJson } from "../../../wire/messages/bounded-json.ts";
import { AGENT_ENDPOINT_PATH, HEADER, RELAY_NAME } from "../../../wire/protocol.ts";
import { REFUSAL_EXCERPT_BYTES } from "../../limits.ts";
import { redactUrl } from "../../transport/server-url.ts";
import type { CheckContext } from "../context.ts";
import { get, handshake, openPort } from "./exchange.ts";
import type { HttpSeen } from "./exchange.ts";

/** The response of Turnabout itself: of a control plane, or of a relay on the way to it. */
export interface OwnResponse {
  code: ErrorCode | undefined;
  details: readonly string[];
  isRelay: boolean;
  version: string;
}

/** Undefined for the response of anything else. */
export function ownResponse({ body, headers }: HttpSeen): OwnResponse | undefined {
  const { [HEADER.version]: version, "proxy-status": proxyStatus } = headers;
  if (typeof version !== "string") return undefined;
  const isRelay = String(proxyStatus).startsWith(RELAY_NAME);
  const error = errorIn(body);
  const code = typeof error["code"] === "string" && isErrorCode(error["code"]) ? error["code"] : undefined;
  const details = Array.isArray(error["details"]) ? error["details"].map(String) : [];
  return { code, details, isRelay, version };
}

function errorIn(body: string): Record<string, unknown> {
  try {
    const { error } = parseBoundedJson(body) as { error?: unknown };
    return typeof error === "object" && error !== null ? (error as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** @param isPassed a carrier works: then it does not matter what a request without an upgrade gets */
export async function judgeEndpoint(context: CheckContext, http: HttpSeen, isPassed: boolean): Promise<void> {
  const { findings, url } = context;
  const own = ownResponse(http);
  const who = own?.isRelay === true ? "a relay" : "a control plane";
  if (own !== undefined && isExpected(own)) {
    findings.ok("endpoint", "", `${who}, Turnabout ${own.version}`, http.ms);
    return;
  }
  if (isPassed) {
    findings.ok("endpoint", "", `a carrier works, although a request without an upgrade gets ${http.status}`);
    return;
  }
  if (own === undefined) {
    findings.fail("endpoint", "", describeStranger(http), strangerRemedy(http, url));
    return;
  }
  if (own.code !== "not_found") {
    findings.warn(
      "endpoint",
      "",
      `${who} responds with ${http.status} ${own.code ?? ""}`,
      "see docs/errors.md; try again",
    );
    return;
  }
  const base = url.pathname.slice(0, -AGENT_ENDPOINT_PATH.length);
  const seen = `${who} responds, but has no agent endpoint at ${url.pathname}`;
  const isAtRoot = base !== "" && (await isEndpointAt(context, AGENT_ENDPOINT_PATH));
  const remedy = isAtRoot
    ? `leave ${base} out of --server`
    : "the base path in --server has to be the one of serve --base-path, or what the proxy in front maps to it";
  findings.fail("endpoint", "", seen, remedy);
}

/** To a request without a token. A relay forwards upgrades only. */
function isExpected({ code, isRelay }: OwnResponse): boolean {
  return code === "unauthenticated" || (isRelay && code === "upgrade_required");
}

function describeStranger({ body, headers, status }: HttpSeen): string {
  if (headers.location !== undefined)
    return `responds with ${status}: redirects to ${redactUrl(headers.location)}`;
  const start = body.trim().slice(0, REFUSAL_EXCERPT_BYTES);
  return `responds with ${status}, and is not Turnabout${start === "" ? "" : `: ${start}`}`;
}

function strangerRemedy({ headers }: HttpSeen, url: URL): string {
  const to = headers.location === undefined ? null : URL.parse(headers.location, url);
  if (to === null) return "check host, port and base path in --server: something else responds there";
  const path = to.pathname.replace(AGENT_ENDPOINT_PATH, "").replace(/\/$/, "");
  return `redirects are not followed: use ${to.protocol}//${to.host}${path} in --server`;
}

/**
 * Whether the port is Turnabout's, as far as responses to requests without a token show: those come before any token. A front
 * may send plain requests elsewhere, and only upgrades to the control plane.
 */
export async function isOurs(context: CheckContext, http: HttpSeen): Promise<boolean> {
  if (ownResponse(http) !== undefined) return true;
  const { pathname } = context.url;
  const websocket = {
    ...upgradeTo("websocket"),
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
  };
  const upgrades = [websocket, upgradeTo("ptth")];
  const found = await Promise.all(upgrades.map((fields) => isEndpointAt(context, pathname, fields)));
  return found.includes(true);
}

function upgradeTo(protocol: string): Record<string, string> {
  return { connection: "Upgrade", upgrade: protocol };
}

async function isEndpointAt(
  context: CheckContext,
  path: string,
  fields: Record<string, string> = {},
): Promise<boolean> {
  try {
    const url = new URL(context.url);
    url.pathname = path;
    let stream = await openPort(context);
    if (url.protocol === "https:") {
      const shaken = await handshake(context, stream);
      if ("error" in shaken) return false;
      stream = shaken.seen.socket;
    }
    const response = await get({ ...context, url }, stream, fields);
    const own = "seen" in response ? ownResponse(response.seen) : undefined;
    return own !== undefined && isExpected(own);
  } catch {
    return false;
  }
}
