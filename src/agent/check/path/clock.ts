/** This machine's clock beside the control plane's: certificates and tokens are judged by both. */
import type { CheckContext } from "../context.ts";
import type { HttpSeen } from "./exchange.ts";
import { CLOCK_FAILURE_MS, CLOCK_WARNING_MS } from "../limits.ts";

/** `Date` of a response has whole seconds. */
const HALF_A_SECOND_MS = 500;

/** Unix milliseconds by the other end's clock; undefined without a `Date`. */
export function dateOf(http: HttpSeen | undefined): number | undefined {
  const ms = Date.parse(http?.headers.date ?? "");
  return Number.isNaN(ms) ? undefined : ms + HALF_A_SECOND_MS;
}

export function judgeClock({ findings }: Pick<CheckContext, "findings">, http: HttpSeen | undefined): void {
  const serverMs = dateOf(http);
  if (http === undefined || serverMs === undefined) {
    findings.skip("clock", "", http === undefined ? "no response" : "the response has no Date");
    return;
  }
  const offMs = http.atMs - serverMs;
  const seen = `this machine's clock is ${describe(offMs)} the control plane's`;
  const remedy = "set this machine's clock by NTP (timedatectl set-ntp true), or correct the control plane's";
  if (Math.abs(offMs) >= CLOCK_FAILURE_MS)
    findings.fail("clock", "", seen, `${remedy}: certificates are judged by it`);
  else if (Math.abs(offMs) >= CLOCK_WARNING_MS) findings.warn("clock", "", seen, remedy);
  else findings.ok("clock", "", "agrees with the control plane's");
}

/** `24 h ahead of`, `90 s behind` */
function describe(offMs: number): string {
  const s = Math.abs(offMs) / 1_000;
  const [amount, unit] =
    s < 120 ? [s, "s"] : s < 7_200 ? [s / 60, "min"] : s < 172_800 ? [s / 3_600, "h"] : [s / 86_400, "d"];
  return `${Math.round(amount)} ${unit} ${offMs > 0 ? "ahead of" : "behind"}`;
}
