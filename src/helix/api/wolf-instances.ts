/** `/api/v1/wolf-instances`: capacity, GPUs and disks. An instance is online while its runner is connected. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../wire/errors.ts";
import { wolfRunner } from "../ids.ts";
import { gpuAlertLevel } from "../instances/usage.ts";
import type { Instances, Presence } from "../instances/instances.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Instance } from "../store/instances.ts";
import type { SessionStore } from "../store/sessions.ts";
import { refuseInvalid, responses } from "../../control/extension-api.ts";
import type { AppEnv } from "../../control/extension-api.ts";
import { requireAdmin } from "../../control/extension.ts";
import type { ExtensionHost, ExtensionRunners, ExtensionStore } from "../../control/extension.ts";
import { heartbeatSchema, readHeartbeat } from "./heartbeat.ts";
import { containerUsage, diskUsage } from "../store/usage.ts";

const level = z.enum(["ok", "warning", "critical"]);

const gpuView = z.object({
  index: z.number().int(),
  model_name: z.string().nullable(),
  vendor: z.string().nullable(),
  total_memory: z.number().nullable().openapi({ description: "bytes" }),
  used_memory: z.number().nullable().openapi({ description: "bytes" }),
  used_percent: z.number().nullable().openapi({ description: "of its memory" }),
  utilization_percent: z.number().nullable(),
  temperature_celsius: z.number().nullable(),
  alert_level: level.openapi({ description: "of its memory: warning from 80 %, critical from 95 %" }),
});

const instanceSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    status: z.enum(["online", "reconnecting", "offline"]),
    runner: z.string(),
    connected_sandboxes: z.number().int(),
    max_sandboxes: z.number().int(),
    gpu_vendor: z.string().nullable(),
    render_node: z.string().nullable(),
    privileged_mode_enabled: z.boolean(),
    desktop_versions: z.record(z.string(), z.string()),
    disk_usage: z.array(diskUsage),
    disk_alert_level: level.openapi({ description: "of the fullest disk" }),
    disk_reported_at: z.string().nullable(),
    gpus: z.array(gpuView),
    gpu_alert_level: level.openapi({ description: "of the GPU with the fullest memory" }),
    gpus_reported_at: z.string().nullable(),
    container_usage: z.array(containerUsage),
    last_heartbeat: z.string().nullable(),
    created_at: z.string(),
  })
  .openapi("WolfInstance");

const idParameter = z.object({ id: z.string().max(128) });

const list = createRoute({
  method: "get",
  path: "/",
  tags: ["wolf instances"],
  operationId: "listWolfInstances",
  summary: "All instances (admin)",
  responses: responses(200, "Instances", z.object({ wolf_instances: z.array(instanceSchema) })),
});
const get = createRoute({
  method: "get",
  path: "/{id}",
  tags: ["wolf instances"],
  operationId: "getWolfInstance",
  summary: "One instance (admin)",
  request: { params: idParameter },
  responses: responses(200, "The instance", instanceSchema),
});
const remove = createRoute({
  method: "delete",
  path: "/{id}",
  tags: ["wolf instances"],
  operationId: "forgetWolfInstance",
  summary:
    "Forget an instance and close its tunnel connections; sessions of an offline one end with it (admin)",
  request: { params: idParameter },
  responses: responses(204, "Forgotten"),
});
const heartbeatRoute = {
  method: "post" as const,
  path: "/{id}/heartbeat" as const,
  tags: ["wolf instances"] as string[],
  operationId: "reportHeartbeat",
  summary: "Report disks, GPUs and capacity, with a token that may register the instance's runner",
  responses: responses(
    200,
    "Noted",
    z.object({
      status: z.literal("ok"),
      disk_alert_level: level,
      gpu_alert_level: level,
      ignored: z
        .array(z.string())
        .optional()
        .openapi({ description: "parts of the body that were ignored, and why" }),
    }),
  ),
};
const heartbeat = createRoute({ ...heartbeatRoute, hide: true, request: { params: idParameter } });
/** For the document, with the body: no validator checks it, as the route reads it leniently. */
const describedHeartbeat = createRoute({
  ...heartbeatRoute,
  request: { params: idParameter, body: { content: { "application/json": { schema: heartbeatSchema } } } },
});

export interface WolfInstanceRoutesContext {
  audit: ExtensionHost["audit"];
  instances: Instances;
  sessions: Sessions;
  sessionStore: SessionStore;
  store: Pick<ExtensionStore, "settled">;
  runners: Pick<ExtensionRunners, "kick" | "state">;
}

export function wolfInstanceRoutes(context: WolfInstanceRoutesContext): OpenAPIHono<AppEnv> {
  const { audit, instances, sessions, sessionStore, store, runners } = context;
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  const show = (instance: Instance): z.output<typeof instanceSchema> =>
    describe(instance, instances.presence(instance.id), sessionStore.onInstance(instance.id).length);

  routes.openapi(list, (c) => {
    requireAdmin(c.get("identity"), "listing instances");
    return c.json({ wolf_instances: instances.list().map(show) }, 200);
  });

  routes.openapi(get, (c) => {
    requireAdmin(c.get("identity"), "showing an instance");
    return c.json(show(instances.get(c.req.valid("param").id)), 200);
  });

  routes.openapi(remove, async (c) => {
    requireAdmin(c.get("identity"), "forgetting an instance");
    const { id } = c.req.valid("param");
    if (instances.isOnline(id) && sessionStore.onInstance(id).length > 0) {
      throw new TurnaboutError("already_exists", `forget instance ${id}: it has sessions`, {
        details: ["the instance is online and has sessions: delete them first"],
      });
    }
    instances.remove(id);
    sessions.instanceRemoved(id);
    runners.kick(wolfRunner(id), { message: "closed by the control plane" });
    audit.add(c.get("actor"), { action: "instance-forgotten", subject: id });
    await store.settled(`forget instance ${id}`);
    return c.body(null, 204);
  });

  routes.openAPIRegistry.registerPath(describedHeartbeat);
  routes.openapi(heartbeat, async (c) => {
    const { id } = c.req.valid("param");
    if (!c.get("identity").mayRegister(wolfRunner(id))) {
      throw new TurnaboutError("not_allowed", `heartbeat: ${c.get("identity").id} is not instance ${id}`);
    }
    const text = await c.req.text();
    const { beat, ignored } = readHeartbeat(text, c.req.header("content-type") !== undefined);
    const instance = instances.heartbeat(id, beat, ignored);
    sessions.capacityChanged();
    await store.settled(`heartbeat of ${id}`);
    const levels = { disk_alert_level: instance.diskAlert, gpu_alert_level: instance.gpuAlert };
    return c.json({ status: "ok" as const, ...levels, ...(ignored.length > 0 && { ignored }) }, 200);
  });

  return routes;
}

function describe(instance: Instance, status: Presence, sessions: number): z.output<typeof instanceSchema> {
  return {
    id: instance.id,
    name: instance.name,
    status,
    runner: wolfRunner(instance.id),
    connected_sandboxes: sessions,
    max_sandboxes: instance.maxSandboxes,
    gpu_vendor: instance.gpuVendor ?? null,
    render_node: instance.renderNode ?? null,
    privileged_mode_enabled: instance.privileged,
    desktop_versions: instance.desktopVersions,
    disk_usage: instance.diskUsage,
    disk_alert_level: instance.diskAlert,
    disk_reported_at: timestamp(instance.diskReportedAtMs),
    gpus: instance.gpus.map((gpu) => ({ ...gpu, alert_level: gpuAlertLevel(gpu) })),
    gpu_alert_level: instance.gpuAlert,
    gpus_reported_at: timestamp(instance.gpusReportedAtMs),
    container_usage: instance.containerUsage,
    last_heartbeat: timestamp(instance.lastHeartbeatMs),
    created_at: new Date(instance.createdAtMs).toISOString(),
  };
}

function timestamp(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
