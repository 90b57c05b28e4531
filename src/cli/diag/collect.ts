/** The files of a diagnosis, one after the other: what cannot be read is noted, and the rest goes on. */
import type { ApiClient } from "../../clients/api/api-client.ts";
import type { Output } from "../../clients/api/operations.ts";
import { scrubJson, scrubText } from "../../wire/diagnosis/scrub.ts";
import { toError } from "../../wire/errors.ts";
import { VERSION } from "../../wire/version.ts";
import { AGENTS_AT_ONCE, MAX_DIAGNOSED_AGENTS } from "./limits.ts";

export interface CollectOptions {
  /** Of the caller: it must not be in any file. */
  token: string;
  server: string;
  /** Agents whose runners match. Undefined: no agent. */
  wants: ((runner: string) => boolean) | undefined;
  onProblem: (problem: string) => void;
}

export interface DiagnosisFile {
  name: string;
  content: string;
}

type Runner = Output<"get", "/api/v1/runners">["runners"][number];

export async function* collect(
  client: ApiClient,
  { token, server, wants, onProblem }: CollectOptions,
): AsyncGenerator<DiagnosisFile, void, undefined> {
  const secrets = [token];
  const problems: string[] = [];
  const names: string[] = [];
  const json = (name: string, value: unknown): DiagnosisFile => {
    names.push(name);
    return { name, content: `${JSON.stringify(scrubJson(value, secrets), undefined, 2)}\n` };
  };
  const attempt = async <T>(what: string, read: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await read();
    } catch (error) {
      const problem = scrubText(`${what}: ${toError(error).message}`, secrets);
      problems.push(problem);
      onProblem(problem);
      return undefined;
    }
  };

  // Without an admin's token, or a control plane that has it, there is nothing to collect.
  const { log, ...own } = await client.call("get", "/api/v1/diagnosis", {});
  yield json("control-plane/diagnosis.json", own);
  yield json("control-plane/log.json", log);
  const metrics = await attempt("metrics", () => client.text("/metrics", {}));
  if (metrics !== undefined) {
    names.push("control-plane/metrics.txt");
    yield { name: "control-plane/metrics.txt", content: scrubText(metrics, secrets) };
  }
  const list = await attempt("runners", () => client.call("get", "/api/v1/runners", {}));
  if (list !== undefined) yield json("control-plane/runners.json", list);
  const sessions = await attempt("sessions", () => client.call("get", "/api/v1/sessions", {}));
  if (sessions !== undefined) yield json("control-plane/sessions.json", sessions);
  const instances = await attempt("instances", () => client.call("get", "/api/v1/wolf-instances", {}));
  if (instances !== undefined) yield json("control-plane/instances.json", instances);

  const agents = wants === undefined ? [] : oneOfEachAgent(list?.runners ?? [], wants);
  if (agents.length > MAX_DIAGNOSED_AGENTS) {
    const problem = `agents: ${agents.length - MAX_DIAGNOSED_AGENTS} of ${agents.length} left out; choose with --runner`;
    problems.push(problem);
    onProblem(problem);
  }
  const chosen = agents.slice(0, MAX_DIAGNOSED_AGENTS);
  for (let at = 0; at < chosen.length; at += AGENTS_AT_ONCE) {
    const some = chosen.slice(at, at + AGENTS_AT_ONCE);
    const diagnoses = await Promise.all(
      some.map(({ id }) =>
        attempt(`agent of ${id}`, () =>
          client.call("get", "/api/v1/runners/{id}/diagnosis", { path: { id } }),
        ),
      ),
    );
    for (const [index, diagnosis] of diagnoses.entries()) {
      const runner = some[index]?.id ?? "";
      if (diagnosis !== undefined) yield json(fileName(at + index + 1, runner), { runner, ...diagnosis });
    }
  }
  const { host } = new URL(server);
  yield json("manifest.json", {
    time: new Date().toISOString(),
    server: host,
    command: { turnabout: VERSION, node: process.version, platform: process.platform },
    files: [...names],
    problems,
  });
}

/** Runners that one process serves share its connections. */
function oneOfEachAgent(runners: readonly Runner[], wants: (runner: string) => boolean): Runner[] {
  const seen = new Set<string>();
  return runners.filter(({ id, connections }) => {
    if (connections.length === 0 || !wants(id) || connections.some((each) => seen.has(each.id))) return false;
    for (const each of connections) seen.add(each.id);
    return true;
  });
}

/** A runner's id may be longer than a name in an archive. */
function fileName(number: number, runner: string): string {
  return `agents/${String(number).padStart(3, "0")}-${runner.slice(0, 60)}.json`;
}
