/** `POST /input`: `{"events":[…]}`, or one event alone, with Helix's names. */
import { z } from "zod";
import { parseJson } from "../http/body.ts";
import { Failure } from "../errors.ts";
import { MAX_INPUT_EVENTS } from "../limits.ts";
import type { InputEvent } from "./events.ts";

const Event = z.object({
  type: z.string().default(""),
  x: z.number().default(0),
  y: z.number().default(0),
  dx: z.number().default(0),
  dy: z.number().default(0),
  button: z.int().default(0),
  state: z.boolean().default(false),
  keycode: z.int().default(0),
  slot: z.int().default(0),
});

const Batch = z.object({ events: z.array(Event).max(MAX_INPUT_EVENTS) });

/** What has events and is no batch is no event either. */
const Single = Event.extend({ events: z.never().optional() });

/** An event that we do not know is undefined. @throws Failure 400 */
export function parseInputEvents(body: Buffer): (InputEvent | undefined)[] {
  let value: unknown;
  try {
    value = parseJson(body);
  } catch (error) {
    throw new Failure(400, "Invalid JSON", { cause: error });
  }
  const batch = Batch.safeParse(value);
  if (batch.success) return batch.data.events.map(toEvent);
  const single = Single.safeParse(value);
  if (single.success) return [toEvent(single.data)];
  throw new Failure(400, "Invalid input events");
}

function toEvent(event: z.infer<typeof Event>): InputEvent | undefined {
  const { x, y, dx, dy, slot } = event;
  switch (event.type) {
    case "mouse_move_abs":
      return { kind: "moveTo", x, y };
    case "mouse_move_rel":
      return { kind: "moveBy", dx, dy };
    case "button":
      return { kind: "button", code: event.button, isDown: event.state };
    case "scroll":
      return { kind: "scroll", dx: dx * 100, dy: dy * 100, isTrackpad: false };
    case "scroll_smooth":
      // Helix's callers count up and left as positive here.
      return { kind: "scroll", dx: -dx, dy: -dy, isTrackpad: true };
    case "key":
      return { kind: "key", code: event.keycode, isDown: event.state };
    case "touch_down":
      return { kind: "touch", phase: "down", slot, x, y };
    case "touch_motion":
      return { kind: "touch", phase: "motion", slot, x, y };
    case "touch_up":
      return { kind: "touch", phase: "up", slot, x, y };
    default:
      return undefined;
  }
}
