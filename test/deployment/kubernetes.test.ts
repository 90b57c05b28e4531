/** compose/kubernetes: what a cluster would say of it, without a cluster. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { z } from "zod";
import packageJson from "../../package.json" with { type: "json" };
import { ROOT } from "../docs/markdown.ts";
import { missing, partPath } from "../support/parts.ts";
import { findSchemaErrors, findUnknownFields } from "./kubernetes-schema.ts";
import { agent, controlPlane, wolf, wolfHost, volumeOf } from "./kubernetes-workloads.ts";
import { readYaml } from "./yaml-documents.ts";

const FOLDER = "compose/kubernetes";
const LAX = "test/deployment/fixtures/lax-kubernetes.yaml";
const BROKEN = "test/deployment/fixtures/broken-kubernetes.yaml";

const kustomization = z
  .object({
    resources: z.array(z.string()),
    images: z.array(z.object({ name: z.string(), newTag: z.string() })),
  })
  .parse(readYaml(`${FOLDER}/kustomization.yaml`)[0]?.data);
const documents = kustomization.resources.flatMap((file) => readYaml(join(FOLDER, file)));

describe("compose/kubernetes", () => {
  it("applies every file that is there", () => {
    const files = globSync("**/*.yaml", { cwd: join(ROOT, FOLDER) })
      .filter((file) => file !== "kustomization.yaml")
      .toSorted();
    assert.deepEqual([...kustomization.resources].toSorted(), files);
    assert.ok(documents.length >= files.length);
  });

  it("is valid for the API's schemas", () => {
    assert.deepEqual(findSchemaErrors(documents), []);
  });

  it("has no field that the API does not know", () => {
    assert.deepEqual(findUnknownFields(documents), []);
  });

  it("would be refused if it were broken", () => {
    const broken = readYaml(BROKEN);
    const wrong = (errors: readonly string[]) => errors.map((line) => line.replace(/^.*\[(\d)\].*$/s, "$1"));
    // The schema leaves unknown fields alone, the types know every field: both are needed.
    assert.deepEqual(wrong(findSchemaErrors(broken)), ["1", "2", "3"]);
    assert.deepEqual(wrong(findUnknownFields(broken)), ["0", "1", "2", "3"]);
    assert.match(findUnknownFields(broken)[0] ?? "", /"terminationGracePeriod"' does not exist/);
  });

  it("names the version of the package", () => {
    for (const { newTag } of kustomization.images) assert.equal(newTag, packageJson.version);
    for (const { image = "" } of [agent, wolf, controlPlane.container])
      assert.match(image, new RegExp(`:${packageJson.version}$`));
  });

  it("can be built by kustomize, to the same objects", { skip: missing("kustomize") }, () => {
    const { status, stdout, stderr } = spawnSync(partPath("kustomize"), ["build", join(ROOT, FOLDER)], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
    const count = (stdout.match(/^kind: /gm) ?? []).length;
    assert.equal(count, documents.length);
  });

  it("passes the policy linter", { skip: missing("kube-score") }, () => {
    const { complaints, checks } = lint(kustomization.resources.map((file) => join(FOLDER, file)));
    assert.deepEqual(complaints, []);
    assert.ok(checks > 60, `${checks} checks`);
    // What is excepted is what the manifests give a reason for, and nothing else.
    const excepted = documents.flatMap(({ data }) => ignored.parse(data));
    assert.deepEqual(excepted.toSorted(), [
      "container-image-pull-policy",
      "container-image-pull-policy",
      "container-security-context-privileged",
      "container-security-context-readonlyrootfilesystem",
      "container-security-context-user-group-id",
      "deployment-replicas",
      "deployment-strategy",
      "networkpolicy-targets-pod",
    ]);
  });

  it("would not pass the policy linter without its policies", { skip: missing("kube-score") }, () => {
    assert.deepEqual(findSchemaErrors(readYaml(LAX)), []);
    const complaints = lint([LAX]).complaints.join("\n");
    for (const complaint of [
      "Image with latest tag",
      "CPU limit is not set",
      "no configured security context",
      "missing a readinessProbe",
      "matching NetworkPolicy",
      "service is of type NodePort",
    ])
      assert.ok(complaints.includes(complaint), `${complaint} is not in\n${complaints}`);
  });
});

describe("compose/kubernetes, the pair of Wolf and its agent", () => {
  it("takes the instance's id from the pod's name", () => {
    const name = agent.env?.find(({ name }) => name === "POD_NAME");
    assert.deepEqual(name?.valueFrom, { fieldRef: { fieldPath: "metadata.name" } });
    assert.ok(agent.args?.includes("--runner=wolf-$(POD_NAME)"));
    assert.ok(agent.args?.includes("--runner=moonlight-$(POD_NAME)"));
  });

  it("gives the token to the agent as a file of a Secret, never as a variable", () => {
    const option = agent.args?.find((arg) => arg.startsWith("--token-file=")) ?? "";
    const mount = agent.volumeMounts?.find(({ mountPath }) =>
      option.startsWith(`--token-file=${mountPath}/`),
    );
    assert.ok(mount, "the token file lies on a volume");
    assert.equal(mount.readOnly, true);
    assert.ok(volumeOf(wolfHost, mount.name)?.secret, "that is a Secret");
    assert.ok(!wolf.volumeMounts?.some(({ name }) => name === mount.name), "and Wolf does not see it");
    for (const { env = [], envFrom } of [agent, wolf, controlPlane.container]) {
      assert.equal(envFrom, undefined);
      for (const { name, valueFrom } of env) {
        assert.doesNotMatch(name, /TOKEN|SECRET|PASSWORD|CREDENTIAL/i);
        assert.equal(valueFrom?.secretKeyRef, undefined);
      }
    }
  });

  it("starts Wolf before its agent and ends it after", () => {
    assert.equal(wolf.restartPolicy, "Always", "a sidecar: an init container that restarts always");
    assert.ok(wolf.startupProbe?.exec, "the agent waits until Wolf responds");
    assert.equal(agent.restartPolicy, undefined);
  });

  it("makes only Wolf privileged, in a namespace that says so", () => {
    assert.equal(wolf.securityContext?.privileged, true);
    for (const { securityContext } of [agent, controlPlane.container]) {
      assert.equal(securityContext?.privileged, false);
      assert.equal(securityContext.allowPrivilegeEscalation, false);
      assert.equal(securityContext.readOnlyRootFilesystem, true);
      assert.deepEqual(securityContext.capabilities, { drop: ["ALL"] });
    }
    const levels = documents.flatMap(({ data }) => {
      const { success, data: found } = namespace.safeParse(data);
      return success
        ? [[found.metadata.name, found.metadata.labels["pod-security.kubernetes.io/enforce"]]]
        : [];
    });
    assert.deepEqual(levels, [
      ["turnabout", "restricted"],
      ["turnabout-wolf", "privileged"],
    ]);
  });

  it("admits no connection to Wolf, and only the ingress and the agents to the control plane", () => {
    const policies = new Map(
      documents.flatMap(({ data }) => {
        const found = networkPolicy.safeParse(data);
        return found.success ? [[found.data.metadata.name, found.data.spec] as const] : [];
      }),
    );
    assert.deepEqual(policies.get("wolf")?.ingress, []);
    assert.deepEqual(policies.get("wolf")?.policyTypes, ["Ingress", "Egress"]);
    const from = policies.get("control-plane")?.ingress?.flatMap(({ from }) => from) ?? [];
    assert.deepEqual(
      from.map(({ namespaceSelector }) => namespaceSelector.matchLabels["kubernetes.io/metadata.name"]),
      ["ingress-nginx", "turnabout-wolf"],
    );
    assert.deepEqual(policies.get("deny-all")?.podSelector, {});
  });
});

const ignored = z
  .looseObject({
    metadata: z.looseObject({ annotations: z.record(z.string(), z.string()).default({}) }),
  })
  .transform(({ metadata }) => (metadata.annotations["kube-score/ignore"] ?? "").split(",").filter(Boolean));

const namespace = z.looseObject({
  kind: z.literal("Namespace"),
  metadata: z.looseObject({ name: z.string(), labels: z.record(z.string(), z.string()) }),
});

const networkPolicy = z.looseObject({
  kind: z.literal("NetworkPolicy"),
  metadata: z.looseObject({ name: z.string() }),
  spec: z.looseObject({
    podSelector: z.unknown(),
    policyTypes: z.array(z.string()),
    ingress: z
      .array(
        z.looseObject({
          from: z.array(
            z.looseObject({
              namespaceSelector: z.looseObject({ matchLabels: z.record(z.string(), z.string()) }),
            }),
          ),
        }),
      )
      .optional(),
  }),
});

/** kube-score on these files as one cluster. */
function lint(files: readonly string[]): { complaints: string[]; checks: number } {
  const input = files.map((file) => readFileSync(join(ROOT, file), "utf8")).join("\n---\n");
  const args = ["score", "--output-format", "ci", "--enable-optional-test", "container-seccomp-profile", "-"];
  const { stdout, stderr, error } = spawnSync(partPath("kube-score"), args, { input, encoding: "utf8" });
  assert.equal(error, undefined);
  const lines = stdout.split("\n").filter((line) => line.startsWith("["));
  assert.ok(lines.length > 0, stderr);
  return {
    complaints: lines.filter((line) => !/^\[(OK|SKIPPED)\]/.test(line)),
    checks: lines.length,
  };
}
