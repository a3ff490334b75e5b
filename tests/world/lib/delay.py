"""A slow line: packets that the router sends into this device come out of it later. Usage: delay.py DEVICE MILLISECONDS"""

import fcntl
import os
import select
import struct
import sys
import time
from collections import deque

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

device, delay_s = sys.argv[1], float(sys.argv[2]) / 1000
line = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(line, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TUN | IFF_NO_PI))
waiting: deque[tuple[float, bytes]] = deque()
while True:
    left = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
    readable, _, _ = select.select([line], [], [], left)
    if readable:
        waiting.append((time.monotonic() + delay_s, os.read(line, 65536)))
    while waiting and waiting[0][0] <= time.monotonic():
        os.write(line, waiting.popleft()[1])
