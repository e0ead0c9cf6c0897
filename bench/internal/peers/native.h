// The layer in C, on libraries that are opened at run time. Matrices are
// row-major without gaps; f64 chooses double, else it is float.

enum { OPENBLAS, BLIS };

// ls_blas_open opens library which and looks up what is needed of it. It
// returns NULL, or what is wrong.
const char *ls_blas_open(int which, const char *file);

// ls_blis_version is the text that BLIS gives as its version, asked before it
// has read the environment; NULL if there is none.
const char *ls_blis_version(const char *file);

// ls_blas_forward does y = relu(x·w + b): bias copied, product, pass of relu.
// With gemv the product is one of matrix and vector: n or out is 1.
void ls_blas_forward(int which, int f64, int gemv, int n, int in, int out,
	void *y, const void *x, const void *w, const void *b, long reps);

// ls_blas_backward does dz, over dy, and db in one pass, then dw and dx.
void ls_blas_backward(int which, int f64, int gemv, int n, int in, int out,
	void *dx, void *dw, void *db, void *dy, const void *y, const void *x, const void *w, long reps);

// ls_mask_and_sum is dz and db.
void ls_mask_and_sum(int f64, int n, int out, void *db, void *dy, const void *y);

const char *ls_dnnl_open(const char *file);

typedef struct ls_plan ls_plan;

// ls_dnnl_forward and ls_dnnl_backward prepare a pass in float32; packed lays w
// out as the library likes it best. They return NULL if it cannot be done.
ls_plan *ls_dnnl_forward(int n, int in, int out, const void *w, int packed);
ls_plan *ls_dnnl_backward(int n, int in, int out);
void ls_dnnl_run_forward(ls_plan *p, void *y, const void *x, const void *w, const void *b, long reps);
void ls_dnnl_run_backward(ls_plan *p, void *dx, void *dw, void *db, void *dy, const void *y, const void *x, const void *w, long reps);
void ls_dnnl_free(ls_plan *p);
