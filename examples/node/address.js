// Where devsynthd listens: the same rule as that of the daemon and of devsynthctl.

import { statSync } from "node:fs";
import { homedir, platform } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/** Return the path of the daemon's socket: DEVSYNTH_SOCKET, else the user's default. */
export function socketPath(environ = process.env) {
  const given = environ.DEVSYNTH_SOCKET;
  if (given) return resolve(given.replace(/^ipc:\/\//, "").replace(/^~(?=\/)/, homedir()));
  return join(runtimeFolder(environ), "devsynth", "devsynthd.sock");
}

function runtimeFolder(environ) {
  if (isAbsolute(environ.XDG_RUNTIME_DIR ?? "")) return environ.XDG_RUNTIME_DIR;
  const own = `/run/user/${process.getuid()}`;
  const found = statSync(own, { throwIfNoEntry: false });
  if (found?.isDirectory() && found.uid === process.getuid()) return own;
  return join(cacheFolder(environ), "devsynth", "run");
}

function cacheFolder(environ) {
  if (platform() === "darwin") return join(homedir(), "Library", "Caches");
  return environ.XDG_CACHE_HOME?.trim() || join(homedir(), ".cache");
}
