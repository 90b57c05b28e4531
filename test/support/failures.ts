/** Every way in which a request fails before its target responds. */
import assert from "node:assert/strict";
import { hashToken } from "../../src/control/auth/tokens.ts";
import { ERROR_TABLE, isErrorCode } from "../../src/wire/error-table.ts";
import { eventually } from "./events.ts";
import { startRawTarget } from "./raw-target.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "./system.ts";
import type { System, SystemOptions } from "./system.ts";
import { refusingAddress, startTarget } from "./target.ts";
import type { TestTarget } from "./target.ts";

const USER_TOKEN = "token-of-a-user-with-another-runner";

export interface Failure {
  what: string;
  status: number;
  code: string;
  /** Default {@link RUNNER} and {@link TARGET}. */
  runner?: string;
  name?: string;
  /** What the caller presents. Default the admin's. */
  token?: string | undefined;
  /** Seconds that the caller gives the target. */
  timeoutS?: number;
  /** What the system's target is. Default: an address at which nothing listens. */
  target?: () => Promise<TestTarget | string>;
  options?: SystemOptions;
  before?: (system: System) => Promise<void>;
  retryAfter?: boolean;
  /** It fails only after the target has been connected to: a bare CONNECT succeeds. */
  afterConnect?: boolean;
}

export const FAILURES: readonly Failure[] = [
  { what: "an unknown runner", runner: "never-seen", status: 404, code: "runner_unknown" },
  { what: "an unknown target", name: "other", status: 404, code: "target_unknown" },
  { what: "no token", token: undefined, status: 401, code: "unauthenticated" },
  { what: "a wrong token", token: "wrong", status: 401, code: "unauthenticated" },
  {
    what: "a runner that the caller may not reach",
    token: USER_TOKEN,
    status: 403,
    code: "not_allowed",
  },
  {
    what: "a runner that nobody knows and the caller may not reach either",
    runner: "never-seen",
    token: USER_TOKEN,
    status: 403,
    code: "not_allowed",
  },
  {
    what: "a runner that has gone",
    options: { controlPlane: { graceMs: 1 } },
    before: async ({ agent, controlPlane }) => {
      await agent.close();
      await eventually(() => controlPlane.runners()[0]?.state === "gone", "the runner gone");
    },
    status: 503,
    code: "runner_offline",
    retryAfter: true,
  },
  { what: "a target whose port refuses", status: 502, code: "target_refused" },
  {
    what: "a target whose Unix socket is missing",
    target: () => refusingAddress("unix"),
    status: 502,
    code: "target_refused",
  },
  {
    what: "a target that closes without a reply",
    target: () => startRawTarget(({ socket }) => void socket.end()),
    status: 502,
    code: "target_closed",
    afterConnect: true,
  },
  {
    what: "a target that resets without a reply",
    target: () => startRawTarget(({ socket }) => void socket.resetAndDestroy()),
    status: 502,
    code: "target_closed",
    afterConnect: true,
  },
  {
    what: "a target that closes within its header",
    target: () => respondingWith("HTTP/1.1 200 OK\r\nContent-Le"),
    status: 502,
    code: "target_closed",
    afterConnect: true,
  },
  {
    what: "a target that responds with garbage",
    target: () => respondingWith("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    status: 502,
    code: "target_protocol",
    afterConnect: true,
  },
  {
    what: "a target with two different lengths",
    target: () => respondingWith("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    status: 502,
    code: "target_protocol",
    afterConnect: true,
  },
  {
    what: "a target whose header has no end",
    target: () => respondingWith(`HTTP/1.1 200 OK\r\n${`X: ${"y".repeat(94)}\r\n`.repeat(1_000)}`),
    status: 502,
    code: "target_protocol",
    afterConnect: true,
  },
  {
    what: "a target that switches protocols unasked",
    target: () =>
      respondingWith("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
    status: 502,
    code: "target_protocol",
    afterConnect: true,
  },
  {
    what: "a target with an impossible status",
    target: () => respondingWith("HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n"),
    status: 502,
    code: "target_protocol",
    afterConnect: true,
  },
  {
    what: "a silent target",
    target: () => startTarget(),
    timeoutS: 1,
    status: 504,
    code: "response_timeout",
    afterConnect: true,
  },
];

export function tokenOf(failure: Failure): string | undefined {
  return "token" in failure ? failure.token : ADMIN_TOKEN;
}

export async function startFailure({ target, options, before }: Failure): Promise<System> {
  const made = await (target ?? refusingAddress)();
  const address = typeof made === "string" ? made : made.address;
  const system = await startSystem({
    tls: true,
    agents: 0,
    ...options,
    ...(typeof made !== "string" && { target: made }),
    controlPlane: {
      tokens: [{ id: "user", kind: "user", sha256: hashToken(USER_TOKEN), runners: ["other-*"] }],
      ...options?.controlPlane,
    },
  });
  await system.addAgent({ [RUNNER]: { [TARGET]: address } });
  await before?.(system);
  return system;
}

async function respondingWith(bytes: string): Promise<TestTarget> {
  return startRawTarget(({ socket }) => void socket.end(bytes, "latin1"));
}

export interface ErrorResponse {
  status: number;
  headers: NodeJS.Dict<string | string[] | number>;
  text: string;
}

/** The response is ours, in full, and contains nothing internal. */
export function checkErrorResponse(
  failure: Failure,
  response: ErrorResponse,
  status: number = failure.status,
): void {
  assert.equal(response.status, status);
  const body = JSON.parse(response.text) as { error: { code: string; message: string; requestId: string } };
  assert.ok(isErrorCode(failure.code));
  const row = ERROR_TABLE[failure.code];
  const { requestId } = body.error;
  assert.deepEqual(body, { error: { code: failure.code, message: row.text, requestId } });
  assert.match(requestId, /^[0-9a-f-]{36}$/);
  const { headers } = response;
  assert.equal(headers["x-request-id"], requestId);
  assert.equal(headers["proxy-status"], `turnabout; error=${row.proxyError}; details="${failure.code}"`);
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers["cache-control"], "no-store");
  assert.equal(headers["x-content-type-options"], "nosniff");
  assert.equal(headers["retry-after"] !== undefined, failure.retryAfter === true);
  if (failure.retryAfter === true) assert.match(String(headers["retry-after"]), /^\d+$/);
  assert.equal(headers["www-authenticate"] !== undefined, status === 401);
  assert.equal(headers["proxy-authenticate"] !== undefined, status === 407);
  assert.doesNotMatch(response.text, /127\.0\.0\.1|localhost|\.sock|secret|\bat \w+|node:/);
}
