package main

func mse(m Machine) {
	s := m.Spec()
	m.Func("mse", sig(m, "func(lane [16]T, grad, pred, target *T, n int, c T) (sum [16]T)"),
		"d[q]    = pred[q] - target[q],  q < n",
		"sum[l]  = lane[l] + Σ d[q]² over q mod 16 = l",
		"grad[q] = d[q]·c",
		"",
		"Each sum is one chain of fused multiply-adds in order of q. grad may be nil,",
		"pred or target.")
	vecs := chains / s.Lanes()
	acc := m.VecsOf(vecs)
	for q, v := range acc {
		m.LoadArray(v, "lane", q)
	}
	g, p, t, n := m.Int(), m.Int(), m.Int(), m.Int()
	c, d, dt := m.Vec(), m.Vec(), m.Vec()
	m.Arg(g, "grad")
	m.Arg(p, "pred")
	m.Arg(t, "target")
	m.Arg(n, "n")
	m.SplatArg(c, "c")
	body := func(wantGrad bool) {
		inBlocks(m, n, vecs, func(q int, w piece) {
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
	body(true)
	m.Jump(end)
	m.Label(without)
	m.Comment("the same without grad")
	body(false)
	m.Label(end)
	for q, v := range acc {
		m.StoreArray("sum", q, v)
	}
	m.Return()
}
