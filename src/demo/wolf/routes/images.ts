/** Icons and Docker images. Wolf does not decode the query, and splits it at every `=`. */
import { setTimeout as delay } from "node:timers/promises";
import { DEMO_COLOUR, solidPng } from "../../png.ts";
import { FieldError, parseObject, text } from "../fields.ts";
import { PULL_LINE_INTERVAL_MS } from "../limits.ts";
import { failure, json, png } from "../reply.ts";
import type { Routes, WolfContext } from "../router.ts";
import { addBounded } from "../state.ts";

const ICON: Buffer = solidPng(64, 64, DEMO_COLOUR);

export const imageRoutes: Routes = {
  "GET /api/v1/utils/get-icon": (request, { state }) => {
    const path = onlyParameter(request.query, "icon_path");
    if (path === undefined)
      return failure("Invalid request format, expects 'icon_path' as a query parameter", 400);
    const known = state.apps.some((app) => app["icon_png_path"] === path);
    return known ? png(ICON) : failure("Icon not found", 404);
  },

  "GET /api/v1/docker/images/inspect": (request, { state }) => {
    const name = onlyParameter(request.query, "image_name");
    if (name === undefined) {
      return failure("Invalid request format, expects 'image_name' as a query parameter", 400);
    }
    if (!state.images.includes(name)) return failure("Image not found", 404);
    return json({
      Id: "sha256:de30",
      RepoTags: [name],
      Os: "linux",
      Architecture: "amd64",
      Size: 512_000_000,
    });
  },

  "POST /api/v1/docker/images/pull": (request, wolf) => {
    let image: string;
    try {
      image = text(parseObject(request.body), "image_name");
    } catch (error) {
      // Wolf's bug, kept: it never responds to a request that it cannot parse.
      if (error instanceof FieldError) return { kind: "silence" };
      throw error;
    }
    // An image of this name cannot be pulled, so that the failure can be shown.
    if (image.startsWith("missing")) return failure("Failed to pull image");
    return { kind: "until-close", fields: [], chunks: pull(image, wolf) };
  },
};

const LAYERS: readonly string[] = ["a1b2c3", "d4e5f6"];

/** Runs off Wolf's I/O thread, as the real pull does. */
async function* pull(image: string, { state, events }: WolfContext): AsyncGenerator<string, void, undefined> {
  events.emit("DockerPullImageStartEvent", { image_name: image });
  for (const layer_id of LAYERS) {
    for (const current_progress of [50, 100]) {
      yield `${JSON.stringify({ layer_id, current_progress, total: 100 })}\r\n`;
      await delay(PULL_LINE_INTERVAL_MS);
    }
  }
  if (!state.images.includes(image)) addBounded(state.images, image);
  yield `${JSON.stringify({ success: true })}\r\n`;
  events.emit("DockerPullImageEndEvent", { image_name: image, success: true });
}

function onlyParameter(query: string, name: string): string | undefined {
  const parts = query.split("=");
  return parts.length === 2 && parts[0] === name ? parts[1] : undefined;
}
