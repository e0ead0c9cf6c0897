# The regression in NumPy; arguments and output as in plain.c.
import sys
import time

import numpy as np

file, n, steps, rate, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
H = 10
data = np.fromfile(file)
x, y = data[:n].reshape(n, 1), data[n : 2 * n].reshape(n, 1)
for _ in range(runs):
    w1, b1, w2, b2 = (a.copy() for a in np.split(data[2 * n :], [H, 2 * H, 3 * H]))
    w1, w2 = w1.reshape(1, H), w2.reshape(H, 1)
    begin = time.perf_counter()
    for _ in range(steps):
        h = np.maximum(x @ w1 + b1, 0)
        d = h @ w2 + b2 - y
        cost = np.mean(d * d)
        dp = d * (2 / n)
        dw2, db2 = h.T @ dp, dp.sum(0)
        dh = (dp @ w2.T) * (h > 0)
        dw1, db1 = x.T @ dh, dh.sum(0)
        w1 -= rate * dw1
        b1 -= rate * db1
        w2 -= rate * dw2
        b2 -= rate * db2
    print("%.9f %.17g" % (time.perf_counter() - begin, cost))
