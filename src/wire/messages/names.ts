/** Runner ids, target names, and the `<target>.<runner>` authority that carries both. */
import { TurnaboutError } from "../errors.ts";
import { MAX_RUNNER_ID_LENGTH, MAX_TARGET_HOST_LENGTH, MAX_TARGET_NAME_LENGTH } from "../limits.ts";

const NAME = /^[a-z0-9_-]+$/;

/** Of TCP. */
export const MAX_PORT = 65_535;

export function isRunnerId(value: string): boolean {
  return value.length <= MAX_RUNNER_ID_LENGTH && NAME.test(value);
}

export function isTargetName(value: string): boolean {
  return value.length <= MAX_TARGET_NAME_LENGTH && NAME.test(value);
}

/** @throws TurnaboutError `config_invalid` naming the offending value */
export function parseRunnerId(value: string): string {
  if (!isRunnerId(value)) {
    throw new TurnaboutError(
      "config_invalid",
      `runner id ${JSON.stringify(value)}: use 1 to ${MAX_RUNNER_ID_LENGTH} characters of a-z, 0-9, "_" and "-"`,
    );
  }
  return value;
}

/** @throws TurnaboutError `config_invalid` naming the offending value */
export function parseTargetName(value: string): string {
  if (!isTargetName(value)) {
    throw new TurnaboutError(
      "config_invalid",
      `target name ${JSON.stringify(value)}: use 1 to ${MAX_TARGET_NAME_LENGTH} characters of a-z, 0-9, "_" and "-"`,
    );
  }
  return value;
}

export interface Destination {
  runner: string;
  target: string;
}

export function formatAuthority(destination: Destination): string {
  return `${destination.target}.${destination.runner}`;
}

/**
 * `<target>.<runner>`, case-insensitive as host names are. The port that callers of the forward proxy add is ignored.
 * Undefined if it is anything else.
 */
export function parseAuthority(authority: string): Destination | undefined {
  const match = /^([^.:]+)\.([^.:]+)(?::(\d{1,5}))?$/.exec(authority.toLowerCase());
  const [, target = "", runner = "", port = "0"] = match ?? [];
  return isTargetName(target) && isRunnerId(runner) && Number(port) <= MAX_PORT
    ? { runner, target }
    : undefined;
}

/** `HOST` or `HOST:PORT` of RFC 3986 §3.2, the host a name, an IPv4 address or `[IPv6]`: what `Host` may be. */
const HOST = /^(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_.])?|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/i;

export function isTargetHost(value: string): boolean {
  if (value.length > MAX_TARGET_HOST_LENGTH) return false;
  const match = HOST.exec(value);
  if (match === null || !URL.canParse(`http://${value}`)) return false;
  const port = match[1] === undefined ? 1 : Number(match[1]);
  return port >= 1 && port <= MAX_PORT;
}
