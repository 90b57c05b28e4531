/** Pictures that scripts place: by the prefix, because a script knows no folder of its page. */
import { buildUrl } from "../config_.js";

export const HOST_IMAGE = buildUrl("/resources/desktop.svg");
export const HOST_OFFLINE_IMAGE = buildUrl("/resources/desktop-offline.svg");
