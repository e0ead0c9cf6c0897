package main

func sgd(m Machine) {
	m.Func("sgd", sig(m, "func(w, grad *T, rate T, n int)"),
		"w[i] = fma(rate, grad[i], w[i]),  i < n",
		"",
		"rate is the learning rate, negated. grad may be w.")
	w, g, n := m.Int(), m.Int(), m.Int()
	rate, wv, gv := m.Vec(), m.Vec(), m.Vec()
	m.Arg(w, "w")
	m.Arg(g, "grad")
	m.SplatArg(rate, "rate")
	m.Arg(n, "n")
	m.Comment("w[i] = fma(rate, grad[i], w[i])")
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
