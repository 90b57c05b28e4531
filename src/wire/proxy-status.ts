/** `Proxy-Status` (RFC 9209): why a hop answered in place of the target. `details` carries our own code. */
import { ERROR_TABLE, isErrorCode } from "./error-table.ts";
import type { ErrorCode } from "./error-table.ts";
import { PROXY_NAME } from "./protocol.ts";

/** @example formatProxyStatus("target_refused") // turnabout; error=connection_refused; details="target_refused" */
export function formatProxyStatus(code: ErrorCode, name: string = PROXY_NAME): string {
  return `${name}; error=${ERROR_TABLE[code].proxyError}; details="${code}"`;
}

/** Our code in the last member of a Proxy-Status field (the hop nearest to us), if it carries one. */
export function parseProxyStatus(value: string | string[] | undefined): ErrorCode | undefined {
  const text = Array.isArray(value) ? value.join(",") : value;
  if (text === undefined || text.length > 4_096) return undefined;
  const found = [...text.matchAll(/details="([a-z_]+)"/g)].at(-1)?.[1];
  return found !== undefined && isErrorCode(found) ? found : undefined;
}
