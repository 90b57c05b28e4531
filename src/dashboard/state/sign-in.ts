/** Who is signed in. The token goes to the control plane once, and the page keeps none: the browser has a cookie that no script reads. */
import { computed, signal } from "@preact/signals";
import { ApiError, unreachable } from "../api/api-error.ts";
import { callPath, onRefusedCredential } from "../api/client.ts";
import type { Who } from "../api/types.ts";

export type SignIn =
  | { kind: "unknown" }
  | { kind: "unreachable"; error: ApiError }
  /** `hasEnded`: it was there before. */
  | { kind: "out"; hasEnded: boolean }
  | { kind: "in"; who: Who };

const PATH = "/api/v1/sign-in";

export const signIn = signal<SignIn>({ kind: "unknown" });
export const who = computed<Who | undefined>(() =>
  signIn.value.kind === "in" ? signIn.value.who : undefined,
);
export const isAdmin = computed<boolean>(() => who.value?.admin === true);

onRefusedCredential(() => {
  if (signIn.value.kind === "in") signIn.value = { kind: "out", hasEnded: true };
});

/** Whether the browser has a sign-in that holds. */
export async function findSignIn(): Promise<void> {
  try {
    signIn.value = { kind: "in", who: (await callPath("get", PATH)) as Who };
  } catch (cause) {
    const error = unreachable(cause);
    const isOut = error.status === 401;
    const before = signIn.value;
    const hasEnded = before.kind === "in" || (before.kind === "out" && before.hasEnded);
    if (isOut) signIn.value = { kind: "out", hasEnded };
    else if (before.kind !== "in") signIn.value = { kind: "unreachable", error };
  }
}

/** @throws ApiError */
export async function signInWith(token: string): Promise<void> {
  const body = { token };
  signIn.value = { kind: "in", who: (await callPath("post", PATH, { body })) as Who };
}

/** @throws ApiError */
export async function signOut(): Promise<void> {
  await callPath("delete", PATH);
  signIn.value = { kind: "out", hasEnded: false };
}
