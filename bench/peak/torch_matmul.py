"""Prints how fast PyTorch multiplies two large matrices, as a JSON document: python torch_matmul.py THREADS"""

import json
import sys
import time

import torch

SIDE, RUNS = 2048, 7

torch.set_num_threads(int(sys.argv[1]))
a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
times = []
for _ in range(RUNS):
    began = time.perf_counter()
    torch.matmul(a, b)
    times.append(time.perf_counter() - began)
# The first of them warms up.
print(json.dumps({"flops": 2 * SIDE**3 / sorted(times[1:])[len(times) // 2]}))
