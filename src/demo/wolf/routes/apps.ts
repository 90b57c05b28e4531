/** Apps and profiles. All fields are kept, as Wolf keeps them in its configuration. */
import { object, parseObject, text } from "../fields.ts";
import { success } from "../reply.ts";
import type { Routes } from "../router.ts";
import { addBounded, removeWhere } from "../state.ts";

export const appRoutes: Routes = {
  "GET /api/v1/apps": (_request, { state }) => success({ apps: state.apps }),

  "POST /api/v1/apps/add": (request, { state }) => {
    const app = parseObject(request.body);
    object(app, "runner");
    addBounded(state.apps, { support_hdr: false, ...app, id: text(app, "id"), title: text(app, "title") });
    return success();
  },

  // An unknown id is a success, too.
  "POST /api/v1/apps/delete": (request, { state }) => {
    const id = text(parseObject(request.body), "id");
    removeWhere(state.apps, (app) => app.id === id);
    return success();
  },

  "GET /api/v1/profiles": (_request, { state }) => success({ profiles: state.profiles }),

  "POST /api/v1/profiles/add": (request, { state }) => {
    const profile = parseObject(request.body);
    addBounded(state.profiles, { ...profile, id: text(profile, "id"), name: text(profile, "name") });
    return success();
  },

  "POST /api/v1/profiles/remove": (request, { state }) => {
    const id = text(parseObject(request.body), "id");
    removeWhere(state.profiles, (profile) => profile.id === id);
    return success();
  },
};
