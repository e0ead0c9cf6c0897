// Matrices are row-major without gaps; f64 chooses double, else it is float.
// With free every sum has several accumulators, else it is in our order.

void order_forward(int f64, int free, long n, long in, long out,
	void *y, const void *x, const void *w, const void *b, long reps);
void order_gradient(int f64, int free, long n, long in, long out,
	void *dw, void *db, void *dy, const void *y, const void *x, long reps);
