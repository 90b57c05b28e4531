/** Icons, and the images of Wolf's Docker engine. */
import { z } from "zod";
import { TurnaboutError } from "../../wire/errors.ts";
import type { CallOptions } from "../http/call.ts";
import { BoundedBuffer } from "../http/bounded-buffer.ts";
import { parseJson } from "../http/lossless-json.ts";
import { lines } from "../http/lines.ts";
import { countSchema, nullable, optional } from "../http/tolerant.ts";
import { checkSuccess, rawQuery } from "./api.ts";
import type { WolfApi } from "./api.ts";
import {
  IMAGE_PULL_SILENCE_TIMEOUT_MS,
  IMAGE_PULL_START_TIMEOUT_MS,
  MAX_LINE_BYTES,
  MAX_UNREAD_BYTES,
  MAX_UNREAD_ITEMS,
} from "./limits.ts";

/** Docker's description; only members that are used are validated. */
export interface DockerImage {
  Id: string;
  RepoTags?: string[] | null | undefined;
  [field: string]: unknown;
}

/** One line of a pull: progress of a layer, or the outcome. */
export interface PullProgress {
  layer_id?: string | undefined;
  current_progress?: number | undefined;
  total?: number | undefined;
  success?: boolean | undefined;
  [field: string]: unknown;
}

const imageSchema: z.ZodType<DockerImage> = z.looseObject({
  Id: z.string(),
  RepoTags: nullable(z.array(z.string())),
});

const progressSchema: z.ZodType<PullProgress> = z.looseObject({
  layer_id: optional(z.string()),
  current_progress: optional(countSchema),
  total: optional(countSchema),
  success: optional(z.boolean()),
});

export class WolfImages {
  readonly #api: WolfApi;

  constructor(api: WolfApi) {
    this.#api = api;
  }

  /** A PNG. @param path as in an app's `icon_png_path` @throws WolfError 404 */
  async icon(path: string, options?: CallOptions): Promise<Buffer> {
    return (await this.#api.bytes(`/utils/get-icon${rawQuery("icon_path", path)}`, options)).body;
  }

  /** @throws WolfError 404 for an unknown image */
  inspect(name: string, options?: CallOptions): Promise<DockerImage> {
    return this.#api.get(`/docker/images/inspect${rawQuery("image_name", name)}`, imageSchema, options);
  }

  /**
   * Starts with the first `next()` and ends with the pull. Wolf's lines are read as they arrive; if the reader is far too
   * slow, the oldest are dropped. Leaving the loop closes the connection, which may not stop Docker.
   *
   * @throws WolfError if the pull fails
   */
  async *pull(name: string, options?: CallOptions): AsyncGenerator<PullProgress, void, undefined> {
    const label = "wolf POST /docker/images/pull";
    const response = await this.#api.stream(
      {
        method: "POST",
        path: "/docker/images/pull",
        body: { image_name: name },
        timeoutMs: IMAGE_PULL_START_TIMEOUT_MS,
        silenceTimeoutMs: IMAGE_PULL_SILENCE_TIMEOUT_MS,
      },
      options,
    );
    try {
      const buffer = new BoundedBuffer(lines(response.body, MAX_LINE_BYTES, label), {
        maxItems: MAX_UNREAD_ITEMS,
        maxBytes: MAX_UNREAD_BYTES,
        bytesOf: (line) => line.length,
      });
      for (let kept = await buffer.next(); kept !== undefined; kept = await buffer.next()) {
        if (kept.item.trim() !== "") yield parseProgress(kept.item, label);
      }
    } finally {
      await response.close();
    }
  }
}

function parseProgress(line: string, label: string): PullProgress {
  let value: unknown;
  try {
    value = parseJson(line);
  } catch (cause) {
    throw new TurnaboutError("target_protocol", `${label}: a line is not JSON`, { cause });
  }
  checkSuccess(label, 200, value);
  const result = progressSchema.safeParse(value);
  if (result.success) return result.data;
  throw new TurnaboutError("target_protocol", `${label}: unexpected line`, { cause: result.error });
}
