/**
 * Kubernetes' own API schemas, offline: `kubernetes-models` has each kind as a JSON Schema validator and as a type. The
 * validator knows what is required, which values are allowed and in which form; the type knows every field, so the
 * compiler finds those that do not exist, which a cluster would refuse or, worse, ignore.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import * as apps from "kubernetes-models/apps/v1";
import * as networking from "kubernetes-models/networking.k8s.io/v1";
import * as policy from "kubernetes-models/policy/v1";
import * as core from "kubernetes-models/v1";
import { ROOT } from "../docs/markdown.ts";
import type { YamlDocument } from "./yaml-documents.ts";

/** The kinds that our manifests use. A new one is a line here. */
const MODELS = {
  "v1/Namespace": core.Namespace,
  "v1/PersistentVolumeClaim": core.PersistentVolumeClaim,
  "v1/Service": core.Service,
  "v1/ServiceAccount": core.ServiceAccount,
  "apps/v1/Deployment": apps.Deployment,
  "apps/v1/StatefulSet": apps.StatefulSet,
  "networking.k8s.io/v1/Ingress": networking.Ingress,
  "networking.k8s.io/v1/NetworkPolicy": networking.NetworkPolicy,
  "policy/v1/PodDisruptionBudget": policy.PodDisruptionBudget,
} as const;

/** `.` keeps other tools' globs out. */
const SNIPPETS = join(ROOT, "test/deployment/.snippets");

const objectMeta = z.looseObject({ apiVersion: z.string(), kind: z.string() });

function kindOf({ source, data }: YamlDocument): keyof typeof MODELS {
  const { apiVersion, kind } = objectMeta.parse(data);
  const name = `${apiVersion}/${kind}`;
  if (!Object.hasOwn(MODELS, name)) throw new Error(`${source}: ${name} is not a kind that is validated`);
  return name as keyof typeof MODELS;
}

/** What the JSON Schema of its kind finds wrong with each document; empty if nothing. */
export function findSchemaErrors(documents: readonly YamlDocument[]): string[] {
  return documents.flatMap((document) => {
    const Model = MODELS[kindOf(document)];
    try {
      // The constructor's parameter is the kind's own data: that it is so is what is validated here.
      new Model(document.data as never).validate();
      return [];
    } catch (error) {
      return [`${document.source}: ${(error as Error).message}`];
    }
  });
}

/** What the compiler finds wrong with each document as a literal of its kind's type: unknown fields above all. */
export function findUnknownFields(documents: readonly YamlDocument[]): string[] {
  mkdirSync(SNIPPETS, { recursive: true });
  const folder = mkdtempSync(join(SNIPPETS, "kubernetes-"));
  try {
    const files = documents.map((document, index) => {
      const [, group = "", kind = ""] = /^(.+)\/(\w+)$/.exec(kindOf(document)) ?? [];
      const literal = JSON.stringify(document.data, undefined, 2);
      const name = `${index}.ts`;
      writeFileSync(
        join(folder, name),
        `import type { I${kind} } from "kubernetes-models/${group}/${kind}";\n// prettier-ignore\nexport const ${kind}: I${kind} = ${literal};\n`,
      );
      return name;
    });
    const config = { extends: join(ROOT, "tsconfig.json"), include: [], files };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const { status, stdout, stderr, error } = spawnSync(
      join(ROOT, "node_modules/.bin/tsc"),
      ["-p", folder, "--pretty", "false"],
      { encoding: "utf8", cwd: folder },
    );
    if (error !== undefined) throw error;
    if (status === 0) return [];
    const errors = stdout.split("\n").filter((line) => line.includes("error TS"));
    if (errors.length === 0) throw new Error(`tsc ended with ${status}: ${stdout}${stderr}`);
    return errors.map((line) =>
      line.replace(
        /^.*?(\d+)\.ts\(\d+,\d+\)/,
        (_match, index: string) => documents[Number(index)]?.source ?? index,
      ),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
