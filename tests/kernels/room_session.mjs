// Sessions of kernels, by which they are told where their room is.
import { Explorer } from "./explorer.mjs";
import { keepStanding, listen, logIn } from "./kernel.mjs";

/** Logs in at the BFF as a kernel of this generation, hears of islands, and stands somewhere. */
export async function kernelSession(scope, edge, kernel, identity, [x, z]) {
  const peer = await logIn(edge, kernel, identity);
  scope.after(() => peer.socket.close());
  const heard = await listen(peer, "System", `${peer.address}.island_changed`);
  const decode = ({ payload }) => kernel.archipelago.IslandChangedMessage.decode(payload);
  const stand = await keepStanding(scope, peer, x, 0, z);
  return {
    identity,
    move: (x, z) => stand(x, 0, z),
    /** The first island change that `wanted` takes: who comes is first put into an island of its own. */
    island: async (wanted) => decode(await heard.first((message) => wanted(decode(message)))),
  };
}

/** The same at archipelago's own WebSocket. */
export async function explorerSession(scope, edge, identity, [x, z]) {
  const explorer = await Explorer.open(scope, edge);
  await explorer.logIn(identity);
  const stand = explorer.keepStanding(scope, x, z);
  return {
    identity,
    move: stand,
    island: (wanted) => explorer.first("islandChanged", wanted),
    /** What it is told when its address logs in again. */
    kicked: () => explorer.first("kicked"),
  };
}
