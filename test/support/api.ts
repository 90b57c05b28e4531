/** Calls of the control plane's API. */
import assert from "node:assert/strict";
import { call } from "./http.ts";
import type { CallOptions } from "./http.ts";
import { assertMatchesDocument } from "./openapi-schemas.ts";

export interface ApiResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: unknown;
  /** `error.code` of a refusal. */
  code: string | undefined;
}

export interface ApiOptions extends CallOptions {
  /** Body, with its content type. */
  json?: unknown;
}

/** One call; whatever JSON it responds with has to fit the published schema. */
export async function api(
  url: string,
  method: string,
  path: string,
  { json, ...options }: ApiOptions = {},
): Promise<ApiResponse> {
  const { status, headers, body } = await call(`${url}${path}`, {
    timeoutMs: 30_000,
    ...options,
    method,
    headers: { ...(json !== undefined && { "content-type": "application/json" }), ...options.headers },
    ...(json !== undefined && { body: JSON.stringify(json) }),
  });
  const isJson = headers["content-type"]?.startsWith("application/json") === true;
  const value: unknown = isJson ? JSON.parse(body) : body;
  if (isJson) await assertMatchesDocument(url, { method, path, status }, value);
  const code = (value as { error?: { code?: string } } | null)?.error?.code;
  return { status, headers, body: value, code };
}

/** A token issued by the API; the response's secret. */
export async function issueToken(url: string, json: object): Promise<string> {
  const response = await api(url, "POST", "/api/v1/tokens", { json });
  assert.equal(response.status, 201, JSON.stringify(response.body));
  return (response.body as { token: string }).token;
}
