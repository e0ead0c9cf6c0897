package main

func sgd(m Machine) {
	m.Func("sgd", sig(m, "func(w, dw *T, rate T, n int)"),
		"w[i] = fma(rate, dw[i], w[i]),  i < n",
		"",
		"dw may be w.")
	w, g, n := m.Int(), m.Int(), m.Int()
	rate, wv, gv := m.Vec(), m.Vec(), m.Vec()
	m.Arg(w, "w")
	m.Arg(g, "dw")
	m.SplatArg(rate, "rate")
	m.Arg(n, "n")
	inBlocks(m, n, 4, func(q int, part piece) {
		part.load(m, q, gv, At(g, 0))
		part.load(m, q, wv, At(w, 0))
		m.FMA(wv, gv, rate)
		part.store(m, q, At(w, 0), wv)
	}, func(bytes int) {
		m.AddConst(w, bytes)
		m.AddConst(g, bytes)
	})
	m.Return()
}
