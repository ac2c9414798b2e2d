"""A Node program with the npm package ``zeromq`` talks MessagePack with a pyzmq ROUTER."""

import subprocess
from pathlib import Path

import msgspec
import pytest
import zmq

from tests.support.needs import missing, need

PACKAGES = ("zeromq@6", "@msgpack/msgpack@3")

LOAD = "require('zeromq'); require('@msgpack/msgpack')"

CLIENT = """
const { Dealer } = require("zeromq");
const { decode, encode } = require("@msgpack/msgpack");

async function main() {
  const dealer = new Dealer({ linger: 0, sendTimeout: 10000, receiveTimeout: 10000 });
  dealer.connect(process.argv[1]);
  await dealer.send(encode({ op: "ping", id: 1 }));
  const [reply] = await dealer.receive();
  process.stdout.write(decode(reply).greeting);
  dealer.close();
}
main();
"""


@pytest.fixture
def node_folder(cache: pytest.Cache) -> Path:
    """Return a folder from which Node finds the packages; they stay there for the next run."""
    node = need("node", "install Node.js 20")
    npm = need("npm", "install npm 10 or newer")
    folder = cache.mkdir("node")
    if subprocess.run([node, "-e", LOAD], cwd=folder, capture_output=True, check=False).returncode:
        # The binaries lie in the package: its install script has nothing to do.
        quiet = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
        install = [npm, "install", "--prefix", str(folder), *quiet, *PACKAGES]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            missing(f"{' and '.join(PACKAGES)} from npm", done.stderr)
    return folder


@pytest.mark.timeout(120)  # the first run downloads
def test_node_dealer_talks_with_a_router(node_folder: Path, short_dir: Path) -> None:
    endpoint = f"ipc://{short_dir}/sock"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.rcvtimeo = 10_000  # milliseconds
        router.bind(endpoint)
        with subprocess.Popen(
            ["node", "-e", CLIENT, endpoint],
            cwd=node_folder,
            stdout=subprocess.PIPE,
            text=True,
        ) as node:
            peer, body = router.recv_multipart()
            router.send_multipart([peer, msgspec.msgpack.encode({"greeting": "hello"})])
            printed, _ = node.communicate(timeout=10)

    assert msgspec.msgpack.decode(body) == {"op": "ping", "id": 1}
    assert printed == "hello"
    assert node.returncode == 0
