/** `GET /api/v1/diagnosis` and `GET /api/v1/runners/{id}/diagnosis` (admin): what a process says of itself, without secrets. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { scrubJson } from "../../wire/diagnosis/scrub.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { AGENT_PATHS, CAPABILITY } from "../../wire/protocol.ts";
import { getAgentJson } from "../admission/agent-client.ts";
import { requireAdmin } from "../auth/access.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { responses } from "./schemas.ts";
import { refuseInvalid } from "./validation.ts";

const figures = z.looseObject({});
const own = createRoute({
  method: "get",
  path: "/diagnosis",
  tags: ["operations"],
  operationId: "getDiagnosis",
  summary:
    "Versions, figures, configuration without secrets, and recent log lines of the control plane (admin)",
  responses: responses(
    200,
    "The diagnosis",
    z.object({ process: figures, configuration: figures, state: figures, log: z.array(figures) }),
  ),
});
const agents = createRoute({
  method: "get",
  path: "/runners/{id}/diagnosis",
  tags: ["runners"],
  operationId: "getRunnerDiagnosis",
  summary: "The same of the runner's agent, as far as its version has it (admin)",
  request: { params: z.object({ id: z.string() }) },
  responses: responses(200, "The diagnosis", figures),
});

export function diagnosisRoutes({ diagnose, registry }: AppContext): OpenAPIHono<AppEnv> {
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  routes.openapi(own, async (c) => {
    requireAdmin(c.get("identity"), "a diagnosis");
    const { process, configuration, state, log } = await diagnose();
    return c.json(
      { process: { ...process }, configuration: { ...configuration }, state: { ...state }, log },
      200,
    );
  });
  routes.openapi(agents, async (c) => {
    requireAdmin(c.get("identity"), "a diagnosis");
    const { id } = c.req.valid("param");
    if (registry.view(id) === undefined)
      throw new TurnaboutError("runner_unknown", `runner ${JSON.stringify(id)} is not known`);
    const connection = registry.bestConnection(id);
    if (connection === undefined)
      throw new TurnaboutError("runner_offline", `diagnosis ${id}: not connected`);
    const { version, capabilities } = connection.hello;
    if (!capabilities.includes(CAPABILITY.diagnosis)) {
      const details = [`the agent (version ${version}) has no diagnosis`];
      throw new TurnaboutError("not_supported", `diagnosis ${id}`, { details });
    }
    const diagnosis = await getAgentJson(connection.http2Session, AGENT_PATHS.diagnosis);
    return c.json({ ...(scrubJson(diagnosis) as object) }, 200);
  });
  return routes;
}
