package main

func mse(m Machine) {
	m.Func("mse", sig(m, "func(lane, init, grad, pred, target *T, n int, c T)"),
		"d[q]    = pred[q] - target[q],  q < n",
		"lane[l] = init[l] + Σ d[q]² over q mod 16 = l",
		"grad[q] = d[q]·c",
		"",
		"Each sum is one chain of fused multiply-adds in order of q. lane[16] is that",
		"of the others, halved. grad may be nil, pred or target.")
	s, p := m.Spec(), arg(m, "init")
	acc := m.VecsOf(chains / s.Lanes())
	for q, v := range acc {
		m.Load(v, At(p, q*s.VecBytes))
	}
	g, t, n := m.Int(), m.Int(), m.Int()
	c, d, dt := m.Vec(), m.Vec(), m.Vec()
	m.Arg(g, "grad")
	m.Arg(p, "pred")
	m.Arg(t, "target")
	m.Arg(n, "n")
	m.SplatArg(c, "c")
	body := func(wantGrad bool) {
		inBlocks(m, n, len(acc), func(q int, w piece) {
			w.load(m, q, d, At(p, 0))
			w.load(m, q, dt, At(t, 0))
			m.SubVec(d, d, dt)
			m.FMA(acc[q], d, d)
			if wantGrad {
				m.MulVec(d, d, c)
				w.store(m, q, At(g, 0), d)
			}
		}, func(bytes int) {
			m.AddConst(p, bytes)
			m.AddConst(t, bytes)
			if wantGrad {
				m.AddConst(g, bytes)
			}
		})
	}
	without, end := m.NewLabel("without"), m.NewLabel("folded")
	m.JumpIf(g, Equal, 0, without)
	m.Comment("d = pred[q] - target[q];  lane[q mod 16] = fma(d, d, lane[q mod 16]);  grad[q] = d·c")
	body(true)
	m.Jump(end)
	m.Label(without)
	m.Comment("the same without grad")
	body(false)
	m.Label(end)
	m.Comment("the lanes, and lane[16], which they are halved to")
	m.Arg(p, "lane")
	for q, v := range acc {
		m.Store(At(p, q*s.VecBytes), v)
	}
	halve(m, acc)
	m.StoreLane(At(p, chains*s.Float.Size), m.FoldRows(acc[:1], d)[0])
	m.Return()
}
