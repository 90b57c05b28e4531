/** Callers that send one request after the other, half of them on connections that they keep. */
import http from "node:http";
import { EventLog } from "./event-log.ts";
import { bodyOf } from "./http.ts";
import { ADMIN_TOKEN } from "./system.ts";

export interface SteadyCallers {
  /** `<status> <body>`, or the error's message. What fails is not tried again. */
  readonly results: EventLog<string>;
  stop(): Promise<void>;
}

/** They go on until they are stopped. */
export function startCallers(url: string, count: number): SteadyCallers {
  const results = new EventLog<string>();
  const keepAlive = new http.Agent({ keepAlive: true, maxSockets: count });
  let isStopped = false;
  const repeat = async (agent: http.Agent | false): Promise<void> => {
    while (!isStopped) results.push(await get(url, agent));
  };
  const all = Array.from({ length: count }, (_, i) => repeat(i % 2 === 0 ? keepAlive : false));
  return {
    results,
    stop: async () => {
      isStopped = true;
      await Promise.all(all);
      keepAlive.destroy();
    },
  };
}

async function get(url: string, agent: http.Agent | false): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` };
  http
    .get(url, { agent, headers }, (response) => {
      bodyOf(response).then(
        (body) => resolve(`${response.statusCode} ${body}`),
        (error: Error) => resolve(error.message),
      );
    })
    .on("error", (error) => resolve(error.message));
  return promise;
}
