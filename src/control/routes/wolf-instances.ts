/** `/api/v1/wolf-instances`: capacity, GPU and disk. Whether one is online is the tunnel's word. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../wire/errors.ts";
import { wolfRunner } from "../sessions/ids.ts";
import type { Presence } from "../sessions/scheduler.ts";
import type { Instance } from "../store/instances.ts";
import type { AppContext, AppEnv } from "./app.ts";
import { badInput } from "./bad-input.ts";
import { answers } from "./schemas.ts";

const diskUsage = z.object({
  mount_point: z.string().max(500),
  total_bytes: z.number().nonnegative(),
  used_bytes: z.number().nonnegative(),
  avail_bytes: z.number().nonnegative(),
  used_percent: z.number().openapi({ description: "0 to 100; what is outside is taken as the nearer end" }),
});

const containerUsage = z.object({
  container_id: z.string().max(200),
  container_name: z.string().max(500),
  size_bytes: z.number().nonnegative(),
  rw_size_bytes: z.number().nonnegative(),
});

/** Unknown fields are ignored: agents of other versions send more. A null is Go's way of saying nothing. */
const heartbeatSchema = z
  .object({
    max_sandboxes: z.number().int().min(0).max(10_000).nullish(),
    desktop_versions: z.record(z.string().max(100), z.string().max(200)).nullish(),
    disk_usage: z.array(diskUsage).max(100).nullish(),
    container_usage: z.array(containerUsage).max(1_000).nullish(),
    privileged_mode_enabled: z.boolean().nullish(),
    gpu_vendor: z.string().max(50).nullish(),
    render_node: z.string().max(200).nullish(),
  })
  .openapi("Heartbeat");

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
    disk_alert_level: z.enum(["ok", "warning", "critical"]),
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
  summary: "All instances (admin)",
  responses: answers(200, "Instances", z.object({ wolf_instances: z.array(instanceSchema) })),
});
const get = createRoute({
  method: "get",
  path: "/{id}",
  tags: ["wolf instances"],
  summary: "One instance (admin)",
  request: { params: idParameter },
  responses: answers(200, "The instance", instanceSchema),
});
const remove = createRoute({
  method: "delete",
  path: "/{id}",
  tags: ["wolf instances"],
  summary: "Forget an instance and close its tunnel; one that is offline takes its sessions with it (admin)",
  request: { params: idParameter },
  responses: answers(204, "Forgotten"),
});
const heartbeat = createRoute({
  method: "post",
  path: "/{id}/heartbeat",
  tags: ["wolf instances"],
  summary: "Disk, GPU and capacity, by whoever may register the instance's runner",
  request: { params: idParameter, body: { content: { "application/json": { schema: heartbeatSchema } } } },
  responses: answers(200, "Noted", z.object({ status: z.literal("ok"), disk_alert_level: z.string() })),
});

export function wolfInstanceRoutes(context: AppContext): OpenAPIHono<AppEnv> {
  const { instances, sessions, sessionStore, policy, kick } = context;
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: badInput });
  const show = (instance: Instance): z.output<typeof instanceSchema> =>
    describe(instance, instances.presence(instance.id), sessionStore.onInstance(instance.id).length);

  routes.openapi(list, (c) => {
    policy.requireAdmin(c.get("identity"), "listing instances");
    return c.json({ wolf_instances: instances.list().map(show) }, 200);
  });

  routes.openapi(get, (c) => {
    policy.requireAdmin(c.get("identity"), "an instance");
    return c.json(show(instances.get(c.req.valid("param").id)), 200);
  });

  routes.openapi(remove, (c) => {
    policy.requireAdmin(c.get("identity"), "forgetting an instance");
    const { id } = c.req.valid("param");
    if (instances.isOnline(id) && sessionStore.onInstance(id).length > 0) {
      throw new TurnaboutError("already_exists", `instance ${id} has sessions`, {
        details: ["the instance is online and has sessions: delete them first"],
      });
    }
    instances.remove(id);
    sessions.instanceForgotten(id);
    kick(wolfRunner(id));
    return c.body(null, 204);
  });

  routes.openapi(heartbeat, (c) => {
    const { id } = c.req.valid("param");
    if (!c.get("identity").mayRegister(wolfRunner(id))) {
      throw new TurnaboutError("not_allowed", `${c.get("identity").id} is not instance ${id}`);
    }
    const instance = instances.heartbeat(id, c.req.valid("json"));
    sessions.vacancy();
    return c.json({ status: "ok" as const, disk_alert_level: instance.diskAlert }, 200);
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
    container_usage: instance.containerUsage,
    last_heartbeat:
      instance.lastHeartbeatMs === undefined ? null : new Date(instance.lastHeartbeatMs).toISOString(),
    created_at: new Date(instance.createdAtMs).toISOString(),
  };
}
