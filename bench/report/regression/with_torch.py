# The regression in PyTorch; arguments and output as in plain.c.
import array
import sys
import time

import torch

torch.set_num_threads(1)
file, n, steps, rate, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
H = 10
values = array.array("d")
with open(file, "rb") as f:
    values.frombytes(f.read())
data = torch.tensor(values.tolist(), dtype=torch.float64)
x, y = data[:n].reshape(n, 1), data[n : 2 * n].reshape(n, 1)
for _ in range(runs):
    w1, b1, w2, b2 = data[2 * n :].split([H, H, H, 1])
    model = torch.nn.Sequential(torch.nn.Linear(1, H), torch.nn.ReLU(), torch.nn.Linear(H, 1)).double()
    with torch.no_grad():
        model[0].weight.copy_(w1.reshape(H, 1))
        model[0].bias.copy_(b1)
        model[2].weight.copy_(w2.reshape(1, H))
        model[2].bias.copy_(b2)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    begin = time.perf_counter()
    for _ in range(steps):
        optimizer.zero_grad()
        cost = torch.nn.functional.mse_loss(model(x), y)
        cost.backward()
        optimizer.step()
    print("%.9f %.17g" % (time.perf_counter() - begin, cost.item()))
