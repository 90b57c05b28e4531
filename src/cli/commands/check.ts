/** `turnabout check`: an agent's options, its way to the control plane and its targets, each with what was seen and a remedy. */
import type { CheckOptions } from "../../agent/check/context.ts";
import type { Finding } from "../../agent/check/finding.ts";
import { endpointUrl } from "../../agent/transport/server-url.ts";
import { checkRunners } from "../../agent/targets/targets.ts";
import { EXIT_STATUS, UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { AGENT_OPTIONS } from "../config/agent-options.ts";
import type { AgentOption } from "../config/agent-options.ts";
import { gather } from "../config/load.ts";
import { helpOf, SOURCES_HELP } from "../config/option.ts";
import type { OptionTable } from "../config/option.ts";
import { asUsageError } from "../options.ts";
import { formatMs, formatTable } from "../output/table.ts";
import { profileFor } from "../remote/access.ts";
import { agentOptions, givenToken, runnersOf } from "./agent-inputs.ts";

const CHECK_OPTIONS: OptionTable<AgentOption | "profile" | "timeout" | "json"> = {
  ...AGENT_OPTIONS,
  profile: {
    kind: "text",
    value: "NAME",
    text: "server and token of this profile, see `turnabout profile`",
    example: "default",
  },
  timeout: {
    kind: "seconds",
    value: "SECONDS",
    text: "the longest that any step may take; default: each has its own",
  },
  json: { kind: "switch", text: "print JSON on one line" },
};

const HELP = `
usage: turnabout check [--server URL] [--token-file FILE] [--runner ID] [--target NAME=ADDRESS] [OPTIONS]

Takes the options of \`turnabout agent\` and checks them without starting it: the files, the name, each address, the outbound
proxy, TLS, the clock, every carrier with its round trip, the token, the targets, the Docker Engine, a relay's addresses.
It registers nothing, and does not disturb an agent that serves the same runner. One line a check: ok, warning, failed or
skipped, what was seen, and what to do. docs/operations.md explains each.

Exit status: 0 if nothing has failed, 1 if something has, 2 for wrong usage.

${helpOf(CHECK_OPTIONS)}

${SOURCES_HELP}
`;

export const check: Command = {
  name: "turnabout check",
  summary: "check an agent's way to its control plane, and its targets",
  help: HELP,
  async run(args) {
    const gathered = await gather("agent", CHECK_OPTIONS, args);
    const { given } = gathered;
    const profile = profileFor({ server: given.text("server"), profile: given.text("profile") });
    const server = given.text("server") ?? profile?.server;
    if (server === undefined) {
      throw new UsageError(
        "no control plane given",
        "give --server URL, set TURNABOUT_SERVER, or save a profile",
      );
    }
    const options = asUsageError(this.name, (): CheckOptions => {
      const runners = runnersOf(gathered, { noRunner: true, noTarget: true });
      checkRunners(runners);
      endpointUrl(server);
      const own = agentOptions(given);
      const token = givenToken(given) ?? profile?.token;
      return { ...own, server, runners, token, caFile: own.caFile ?? profile?.ca };
    });
    const { runChecks } = await import("../../agent/check/checks.ts");
    const findings = await asUsageError(this.name, () =>
      runChecks(options, { maxStepMs: given.seconds("timeout") }),
    );
    const hasFailed = findings.some(({ state }) => state === "failed");
    process.stdout.write(
      given.isOn("json") === true ? toJson(server, findings, !hasFailed) : toTable(findings),
    );
    process.exitCode = hasFailed ? EXIT_STATUS.failed : EXIT_STATUS.done;
    // A lookup that hangs would keep the process for as long as the resolver tries.
    if (process.getActiveResourcesInfo().includes("GetAddrInfoReqWrap")) process.exit();
  },
};

function toTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ check: name, ms, remedy, seen, state, subject }) => {
    const what = subject === "" ? name : `${name} ${subject}`;
    const took = ms === undefined ? "" : `, ${formatMs(ms)}`;
    return [state, what, `${seen}${took}${remedy === undefined ? "" : ` -> ${remedy}`}`];
  });
  const count = (state: string): number => findings.filter((finding) => finding.state === state).length;
  const summary = `${count("ok")} ok, ${count("warning")} warnings, ${count("failed")} failed, ${count("skipped")} skipped`;
  return `${formatTable(["STATE", "CHECK", "SEEN -> REMEDY"], rows)}${summary}\n`;
}

function toJson(server: string, findings: readonly Finding[], ok: boolean): string {
  const checks = findings.map(({ check: name, ms, remedy, seen, state, subject }) => {
    return { check: name, subject, state, seen, remedy: remedy ?? null, ms: ms ?? null };
  });
  return `${JSON.stringify({ ok, server, checks })}\n`;
}
