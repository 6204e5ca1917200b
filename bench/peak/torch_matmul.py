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
# The fastest counts: whatever else the machine does only takes away from a peak.
print(json.dumps({"flops": 2 * SIDE**3 / min(times)}))
