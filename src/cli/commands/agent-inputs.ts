/** What an agent is given, for the commands that start one, check one, or check its configuration. */
import type { CarrierChoice } from "../../agent/carriers/auto.ts";
import type { AgentOptions } from "../../agent/config.ts";
import type { Runner } from "../../agent/targets/targets.ts";
import { checkTlsFiles, prepareToken } from "../../agent/transport/credentials.ts";
import type { Secret } from "../../agent/transport/credentials.ts";
import { CARRIER_KINDS } from "../../wire/session/carrier.ts";
import { UsageError } from "../command.ts";
import type { AgentOption } from "../config/agent-options.ts";
import { chooseRunners } from "../config/agent-runners.ts";
import type { Given } from "../config/given.ts";
import type { Gathered } from "../config/load.ts";

const CARRIERS: readonly string[] = ["auto", ...CARRIER_KINDS];

type GivenToAgent = Given<AgentOption>;

/** As the agent is to have it. @throws TurnaboutError `config_invalid` for a file that is there and of no use */
export async function usableToken(
  options: Pick<AgentOptions, "caFile" | "certFile" | "keyFile" | "token">,
): Promise<Secret | undefined> {
  await checkTlsFiles(options);
  return options.token === undefined ? undefined : prepareToken(options.token);
}

/** @throws UsageError, or TurnaboutError for a target that is not valid */
export function runnersOf(
  { flags, runners: file }: Pick<Gathered<AgentOption>, "flags" | "runners">,
  allow: { noRunner: boolean; noTarget: boolean },
): Runner[] {
  return chooseRunners({ given: flags.given, env: process.env, file }, allow);
}

/** A relay needs no runner, and containers announce targets of their own. */
export function allowedAbsence(given: GivenToAgent): { noRunner: boolean; noTarget: boolean } {
  const docker = given.isGiven("docker");
  return { noRunner: given.isGiven("listen") && !docker, noTarget: docker };
}

/** Without its runners, its token and its log. @throws UsageError */
export function agentOptions(given: GivenToAgent): Omit<AgentOptions, "server" | "runners"> {
  return {
    docker: given.text("docker"),
    discoverHostNetwork: given.isOn("discover-host-network"),
    listen: given.list("listen") ?? [],
    carrier: parseCarrier(given.text("carrier") ?? "auto"),
    connections: given.count("connections"),
    caFile: given.text("ca"),
    certFile: given.text("cert"),
    keyFile: given.text("key"),
    serverName: given.text("server-name"),
    insecure: given.isOn("insecure"),
    drainMs: given.seconds("drain"),
    backoffCapMs: given.seconds("backoff-cap"),
  };
}

/** Undefined where none is given. The variable is removed: it is not for the programs that a command starts. */
export function givenToken(given: GivenToAgent): Secret | undefined {
  const file = given.text("token-file");
  const fromEnvironment = process.env["TURNABOUT_TOKEN"];
  delete process.env["TURNABOUT_TOKEN"];
  if (file !== undefined) return { file };
  return fromEnvironment === undefined || fromEnvironment === "" ? undefined : { value: fromEnvironment };
}

/** @throws UsageError where none is given and one is needed */
export function requiredToken(given: GivenToAgent, isRelay: boolean): Secret | undefined {
  const token = givenToken(given);
  if (token !== undefined) return token;
  if (isRelay || given.isGiven("cert")) return undefined;
  throw new UsageError(
    "no token given",
    "give --token-file FILE, set TURNABOUT_TOKEN, or use --cert and --key with rh2",
  );
}

export function parseCarrier(value: string): CarrierChoice {
  if (CARRIERS.includes(value)) return value as CarrierChoice;
  throw new UsageError(`--carrier ${value}: unknown carrier`, `use one of ${CARRIERS.join(", ")}`);
}
