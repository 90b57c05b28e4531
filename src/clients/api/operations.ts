/** Types of calls, by method and path, out of those of the OpenAPI document. */
import type { paths } from "./types.ts";

export type Method = "get" | "post" | "put" | "delete";

/** Paths that have the method. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, unknown> ? P : never;
}[keyof paths] &
  string;

export type Operation<M extends Method, P extends PathOf<M>> =
  paths[P] extends Record<M, infer O> ? O : never;

type ParametersOf<O> = O extends { parameters: infer Parameters } ? Parameters : unknown;
type BodyOf<O> = O extends { requestBody: { content: { "application/json": infer Body } } }
  ? { body: Body }
  : unknown;

/** `path`, `query` and `body`, as far as the operation has them. */
export type Input<M extends Method, P extends PathOf<M>> = Omit<
  ParametersOf<Operation<M, P>>,
  "header" | "cookie"
> &
  BodyOf<Operation<M, P>>;

type JsonOf<Response> = Response extends { content: { "application/json": infer Body } } ? Body : undefined;

/** Body of the successful response; undefined where it has none that is JSON. */
export type Output<M extends Method, P extends PathOf<M>> =
  Operation<M, P> extends { responses: infer Responses }
    ? { [Status in keyof Responses & (200 | 201 | 204)]: JsonOf<Responses[Status]> }[keyof Responses &
        (200 | 201 | 204)]
    : never;
