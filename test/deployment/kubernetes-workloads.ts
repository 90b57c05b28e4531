/** The two workloads of compose/kubernetes, typed: their manifests are validated against these types by kubernetes.test.ts. */
import assert from "node:assert/strict";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IStatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { IPodSpec } from "kubernetes-models/v1/PodSpec";
import type { IVolume } from "kubernetes-models/v1/Volume";
import { readYaml } from "./yaml-documents.ts";

const deployment = readYaml("compose/kubernetes/control-plane/deployment.yaml")[0]?.data as IDeployment;
const statefulSet = readYaml("compose/kubernetes/wolf/stateful-set.yaml")[0]?.data as IStatefulSet;

export const strategy: unknown = deployment.spec?.strategy;
export const controlPlane: { pod: IPodSpec; container: IContainer } = {
  pod: deployment.spec?.template.spec ?? assert.fail("no pod"),
  container: deployment.spec?.template.spec?.containers[0] ?? assert.fail("no container"),
};
export const wolfHost: IPodSpec = statefulSet.spec?.template.spec ?? assert.fail("no pod");
export const wolf: IContainer =
  wolfHost.initContainers?.find(({ name }) => name === "wolf") ?? assert.fail("no container `wolf`");
export const agent: IContainer =
  wolfHost.containers.find(({ name }) => name === "agent") ?? assert.fail("no container `agent`");

export function volumeOf(pod: IPodSpec, name: string): IVolume | undefined {
  return pod.volumes?.find((volume) => volume.name === name);
}
