/** Runs the containers of lobbies, as Wolf's Docker Engine does. */
import type { WolfLobby } from "./state.ts";

/** Neither method fails: Wolf responds before the container runs, and reports its fate by events. */
export interface LobbyContainers {
  start(lobby: WolfLobby): void;
  stop(lobby: WolfLobby): void;
}
