/** compose/observability: the alert rules and the dashboard, as their readers see them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";

export const OBSERVABILITY: string = join(import.meta.dirname, "../../compose/observability");

const rulesSchema = z.object({
  groups: z.array(
    z.object({
      name: z.string(),
      rules: z.array(
        z.object({
          alert: z.string(),
          expr: z.string(),
          for: z.string().optional(),
          labels: z.object({ severity: z.enum(["critical", "warning"]) }),
          annotations: z.object({ summary: z.string(), description: z.string() }),
        }),
      ),
    }),
  ),
});

const dashboardSchema = z.looseObject({
  panels: z.array(
    z.looseObject({
      title: z.string(),
      targets: z.array(z.looseObject({ expr: z.string() })).optional(),
    }),
  ),
  templating: z.object({
    list: z.array(z.looseObject({ name: z.string(), definition: z.string().optional() })),
  }),
});

export interface AlertRule {
  alert: string;
  expr: string;
}

export function readAlerts(): AlertRule[] {
  const file = readFileSync(join(OBSERVABILITY, "alerts.yaml"), "utf8");
  return rulesSchema.parse(parse(file)).groups.flatMap(({ rules }) => rules);
}

export interface DashboardQuery {
  panel: string;
  expr: string;
}

/** With values in the places of Grafana's variables. */
export function readDashboard(): { queries: DashboardQuery[]; variables: string[] } {
  const file = readFileSync(join(OBSERVABILITY, "grafana-dashboard.json"), "utf8");
  const { panels, templating } = dashboardSchema.parse(JSON.parse(file));
  const withValues = (text: string): string =>
    text.replaceAll("$__rate_interval", "1m").replaceAll(/\$(?:instance|runner|target)\b/g, ".*");
  return {
    queries: panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ panel: title, expr: withValues(expr) })),
    ),
    variables: templating.list.flatMap(
      ({ definition = "" }) => /^label_values\((.*), \w+\)$/.exec(withValues(definition))?.slice(1) ?? [],
    ),
  };
}
