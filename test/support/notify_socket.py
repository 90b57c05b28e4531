"""A service manager's notification socket: prints each datagram as one line. Node has no Unix datagram sockets."""

import os
import socket
import sys

manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
print("ready", flush=True)
while True:
    # Without room for descriptors the kernel closes that of a barrier, which is what its sender waits for.
    text = manager.recv(4096).decode()
    print(" ".join(text.split("\n")).strip(), flush=True)
