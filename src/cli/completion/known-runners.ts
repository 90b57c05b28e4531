/** The runners that the control plane lists for the credential of the command line that is being typed. */
import { ApiClient } from "../../clients/api/api-client.ts";
import { resolveAccess } from "../remote/access.ts";
import type { AccessOptions } from "../remote/access.ts";
import { COMPLETION_TIMEOUT_MS, MAX_COMPLETED_RUNNERS } from "./limits.ts";

export interface KnownRunner {
  id: string;
  targets: string[];
}

const FLAGS: Readonly<Record<string, keyof AccessOptions>> = {
  "--server": "server",
  "--token-file": "tokenFile",
  "--ca": "ca",
  "--profile": "profile",
};

/** None without a server and a token, and none where the response is not there in time. */
export async function knownRunners(words: readonly string[]): Promise<KnownRunner[]> {
  try {
    const options = accessIn(words);
    if (options.tokenFile === "-") return []; // the terminal's input is the shell's
    await using client = new ApiClient(resolveAccess(options));
    const signal = AbortSignal.timeout(COMPLETION_TIMEOUT_MS);
    const { runners } = await client.call("get", "/api/v1/runners", {}, { signal });
    return runners
      .filter(({ connections }) => connections.length > 0)
      .slice(0, MAX_COMPLETED_RUNNERS)
      .map(({ id, targets }) => ({ id, targets: targets.map(({ name }) => name) }));
  } catch {
    return [];
  }
}

/** As given on the command line, or by the variables that its options have. */
function accessIn(words: readonly string[]): AccessOptions {
  const { TURNABOUT_SERVER: server, TURNABOUT_PROFILE: profile } = process.env;
  const options: AccessOptions = {
    ...(server !== undefined && { server }),
    ...(profile !== undefined && profile !== "" && { profile }),
  };
  for (const [i, word] of words.entries()) {
    const [flag = "", ...value] = word.split("=");
    const name = Object.hasOwn(FLAGS, flag) ? FLAGS[flag] : undefined;
    const text = value.length > 0 ? value.join("=") : words[i + 1] === "=" ? words[i + 2] : words[i + 1];
    if (name !== undefined && text !== undefined) options[name] = text;
  }
  return options;
}
