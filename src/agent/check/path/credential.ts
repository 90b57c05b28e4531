/** The token, as the control plane judges it: valid, expired, revoked, for these runners or for others. */
import { joinReasons, TurnaboutError } from "../../../wire/errors.ts";
import type { ErrorCode } from "../../../wire/error-table.ts";
import { parseBoundedJson } from "../../../wire/messages/bounded-json.ts";
import { EXPIRY_WARNING_MS } from "../../../wire/limits.ts";
import { openTransport } from "../../transport/transport.ts";
import type { CarrierResult } from "./carriers.ts";
import { refusedCode } from "./carriers.ts";
import { runnerIds } from "../context.ts";
import type { CheckContext } from "../context.ts";
import { ownResponse } from "./endpoint.ts";
import { get } from "./exchange.ts";
import type { HttpSeen } from "./exchange.ts";
import { inTime } from "../in-time.ts";
import { CHECK_PROXY_TIMEOUT_MS } from "../limits.ts";

/** Of the control plane about a credential (docs/protocol.md). */
interface Judgement {
  credential: { id: string; kind: string; expiresAt: string | null };
  runners: { id: string; refusal: string | null }[];
}

/** Undefined where no response has come, or one that does not tell. */
export async function askControlPlane(context: CheckContext, token: string): Promise<HttpSeen | undefined> {
  const { maxStepMs, options, signal, socketPath, url, zone } = context;
  try {
    const timeoutMs = Math.min(CHECK_PROXY_TIMEOUT_MS, maxStepMs);
    const step = { label: "token", timeoutMs, signal };
    const stream = await inTime(step, (limit) =>
      openTransport({ url, zone, socketPath, tls: options, alpn: [], signal: limit }),
    );
    const response = await get(context, stream, { authorization: `Bearer ${token}` });
    return "seen" in response ? response.seen : undefined;
  } catch {
    return undefined; // the carriers show why
  }
}

export function judgeToken(
  context: CheckContext,
  http: HttpSeen | undefined,
  carriers: readonly CarrierResult[],
): void {
  const judgement =
    http?.status === 200 && ownResponse(http) !== undefined ? parseJudgement(http.body) : undefined;
  if (judgement !== undefined) return reportJudgement(context, judgement);
  const own = http === undefined ? undefined : ownResponse(http);
  if (own?.code === "unauthenticated") return fail(context, "unauthenticated", joinReasons(own.details));
  // A relay forwards upgrades only, and an older control plane does not judge.
  judgeByCarriers(context, carriers);
}

export function judgeByCarriers(context: CheckContext, carriers: readonly CarrierResult[]): void {
  const { findings } = context;
  const working = carriers.find(({ works }) => works !== undefined);
  if (working !== undefined) {
    findings.ok("token", "", `accepted on ${working.kind}`);
    return;
  }
  const refused = carriers.find((result) => refusedCode(result) !== undefined);
  const code = refused === undefined ? undefined : refusedCode(refused);
  if (refused === undefined || code === undefined) {
    findings.skip("token", "", "no carrier has reached the control plane");
    return;
  }
  const { details = [] } = refused.error instanceof TurnaboutError ? refused.error : {};
  fail(context, code, joinReasons(details), refused.error?.message);
}

function reportJudgement(context: CheckContext, { credential, runners }: Judgement): void {
  const { findings, now } = context;
  const { expiresAt, id, kind } = credential;
  const what = `${kind} token ${id}`;
  if (kind === "user") {
    const remedy = "an agent needs a token of the kind runner: turnabout token --kind runner --runner ID";
    findings.fail("token", "", `${what}: a user's token registers no runners`, remedy);
    return;
  }
  const refused = runners.filter(({ refusal }) => refusal !== null);
  for (const { id: runner, refusal } of refused) {
    const isTaken = refusal === "runner_taken";
    const seen = `${what}: ${isTaken ? "another credential has the runner" : "not valid for this runner"}`;
    const remedy = isTaken
      ? "give this agent another --runner, or end the agent that has it (turnabout status)"
      : `give the token of this runner, or a token whose runners match ${runner}`;
    findings.fail("token", runner, seen, remedy);
  }
  if (refused.length > 0) return;
  const count = runners.length;
  const covers = count === 0 ? "" : count === 1 ? ` for ${runners[0]?.id}` : ` for all ${count} runners`;
  const untilMs = Date.parse(expiresAt ?? "");
  if (untilMs - now() < EXPIRY_WARNING_MS) {
    findings.warn(
      "token",
      "",
      `${what}: valid${covers}, but expires at ${expiresAt}`,
      "issue a new one in time",
    );
  } else findings.ok("token", "", `${what}: valid${covers}`);
}

const REFUSED: Readonly<Partial<Record<ErrorCode, readonly [seen: string, remedy: string]>>> = {
  unauthenticated: [
    "the control plane does not know the token",
    "it is mistyped, revoked, or another control plane's: create one with turnabout token or turnabout tokens create",
  ],
  not_allowed: [
    "the credential is for other runners",
    "give the credential of these runners, or one whose runners match them",
  ],
  runner_taken: [
    "another credential has the runner",
    "give this agent another --runner, or end the agent that has it (turnabout status)",
  ],
  bad_request: ["the control plane wants to know the runner", "give --runner ID"],
};

function fail({ findings, options }: CheckContext, code: ErrorCode, details: string, message = ""): void {
  const [seen, remedy] = REFUSED[code] ?? [message, "try again in a minute"];
  const isExpired = /expired|revoked/.test(details);
  const subject = runnerIds(options).slice(0, 1).join("");
  findings.fail(
    "token",
    code === "not_allowed" || code === "runner_taken" ? subject : "",
    details === "" ? seen : `${code === "unauthenticated" ? "" : `${seen}: `}${details}`,
    isExpired ? "issue a new token: turnabout tokens create, or turnabout token for the token file" : remedy,
  );
}

/** Undefined where it is none: another server may have sent anything. */
function parseJudgement(body: string): Judgement | undefined {
  try {
    const { credential, runners } = objectOf(parseBoundedJson(body));
    const { id, kind, expiresAt } = objectOf(credential);
    if (typeof id !== "string" || typeof kind !== "string") return undefined;
    return {
      credential: { id, kind, expiresAt: typeof expiresAt === "string" ? expiresAt : null },
      runners: (Array.isArray(runners) ? runners : []).flatMap(judgedRunner),
    };
  } catch {
    return undefined;
  }
}

function judgedRunner(value: unknown): Judgement["runners"] {
  const { id, refusal } = objectOf(value);
  return typeof id === "string" ? [{ id, refusal: typeof refusal === "string" ? refusal : null }] : [];
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}
