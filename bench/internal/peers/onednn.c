//go:build cpeers

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>

#include "native.h"

#if __has_include(<dnnl.h>)
#include <dnnl.h>
#include <dnnl_version.h>
#endif

#if DNNL_VERSION_MAJOR == 2

// The functions of the library that are used here, each a pointer of its name.
#define FUNCTIONS(F)                        \
	F(engine_create)                        \
	F(stream_create)                        \
	F(stream_wait)                          \
	F(memory_desc_init_by_strides)          \
	F(memory_desc_init_by_tag)              \
	F(memory_create)                        \
	F(memory_set_data_handle)               \
	F(memory_destroy)                       \
	F(matmul_desc_init)                     \
	F(primitive_attr_create)                \
	F(primitive_attr_set_post_ops)          \
	F(primitive_attr_destroy)               \
	F(post_ops_create)                      \
	F(post_ops_append_eltwise)              \
	F(post_ops_destroy)                     \
	F(primitive_desc_create)                \
	F(primitive_desc_query_md)              \
	F(primitive_desc_destroy)               \
	F(reorder_primitive_desc_create)        \
	F(primitive_create)                     \
	F(primitive_execute)                    \
	F(primitive_destroy)

#define DECLARE(f) static __typeof__(&dnnl_##f) f;
FUNCTIONS(DECLARE)

static dnnl_engine_t engine;
static dnnl_stream_t stream;

const char *ls_dnnl_open(const char *file) {
	void *lib = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return dlerror();
#define LOOK_UP(f)                                      \
	f = (__typeof__(f))dlsym(lib, "dnnl_" #f);          \
	if (!f)                                             \
		return "it has no dnnl_" #f;
	FUNCTIONS(LOOK_UP)
	if (engine_create(&engine, dnnl_cpu, 0) || stream_create(&stream, engine, dnnl_stream_default_flags))
		return "it makes no engine for the CPU";
	return NULL;
}

// A product is c = a·b, or relu(a·b + bias), with the memory it works on.
typedef struct {
	dnnl_primitive_t primitive;
	dnnl_memory_t a, b, bias, c;
} product;

struct ls_plan {
	int n, out;
	product forward, dw, dx;
	int packed; // forward.b has its own memory
};

static void done(product *p) {
	if (p->primitive)
		primitive_destroy(p->primitive);
	dnnl_memory_t all[] = {p->a, p->b, p->bias, p->c};
	for (int i = 0; i < 4; i++)
		if (all[i])
			memory_destroy(all[i]);
}

static dnnl_status_t matrix(dnnl_memory_desc_t *d, int rows, int cols, int down, int right) {
	dnnl_dims_t dims = {rows, cols}, strides = {down, right};
	return memory_desc_init_by_strides(d, 2, dims, dnnl_f32, strides);
}

// prepare makes p a product of matrices a, b and c. With w, b is laid out anew
// from there. It returns 0, or else it failed.
static int prepare(product *p, dnnl_memory_desc_t *a, dnnl_memory_desc_t *b, dnnl_memory_desc_t *c, int layer, const void *w) {
	dnnl_memory_desc_t any = *b, bias;
	dnnl_dims_t rows = {b->dims[0], b->dims[1]}, row = {1, c->dims[1]}, ones = {c->dims[1], 1};
	dnnl_matmul_desc_t desc;
	dnnl_primitive_attr_t attr;
	dnnl_post_ops_t post;
	dnnl_primitive_desc_t pd = NULL;
	if (w && memory_desc_init_by_tag(&any, 2, rows, dnnl_f32, dnnl_format_tag_any))
		return 1;
	if (memory_desc_init_by_strides(&bias, 2, row, dnnl_f32, ones) || primitive_attr_create(&attr) || post_ops_create(&post))
		return 1;
	int bad = layer && (post_ops_append_eltwise(post, 1, dnnl_eltwise_relu, 0, 0) || primitive_attr_set_post_ops(attr, post));
	bad = bad || matmul_desc_init(&desc, a, &any, layer ? &bias : NULL, c) ||
		primitive_desc_create(&pd, &desc, attr, engine, NULL) || primitive_create(&p->primitive, pd) ||
		memory_create(&p->a, a, engine, DNNL_MEMORY_NONE) || memory_create(&p->c, c, engine, DNNL_MEMORY_NONE) ||
		(layer && memory_create(&p->bias, &bias, engine, DNNL_MEMORY_NONE));
	if (!bad && w) {
		const dnnl_memory_desc_t *best = primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
		dnnl_primitive_desc_t rd = NULL;
		dnnl_primitive_t reorder = NULL;
		dnnl_memory_t plain = NULL;
		bad = memory_create(&p->b, best, engine, DNNL_MEMORY_ALLOCATE) || memory_create(&plain, b, engine, (void *)w) ||
			reorder_primitive_desc_create(&rd, b, engine, best, engine, NULL) || primitive_create(&reorder, rd);
		if (!bad) {
			dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, plain}, {DNNL_ARG_TO, p->b}};
			bad = primitive_execute(reorder, stream, 2, args) || stream_wait(stream);
		}
		if (reorder)
			primitive_destroy(reorder);
		if (rd)
			primitive_desc_destroy(rd);
		if (plain)
			memory_destroy(plain);
	} else if (!bad) {
		bad = memory_create(&p->b, b, engine, DNNL_MEMORY_NONE);
	}
	if (pd)
		primitive_desc_destroy(pd);
	post_ops_destroy(post);
	primitive_attr_destroy(attr);
	return bad;
}

ls_plan *ls_dnnl_forward(int n, int in, int out, const void *w, int packed) {
	ls_plan *p = calloc(1, sizeof *p);
	dnnl_memory_desc_t x, ww, y;
	p->packed = packed;
	if (matrix(&x, n, in, in, 1) || matrix(&ww, in, out, out, 1) || matrix(&y, n, out, out, 1) ||
		prepare(&p->forward, &x, &ww, &y, 1, packed ? w : NULL)) {
		ls_dnnl_free(p);
		return NULL;
	}
	return p;
}

ls_plan *ls_dnnl_backward(int n, int in, int out) {
	ls_plan *p = calloc(1, sizeof *p);
	dnnl_memory_desc_t xt, dz, dw, wt, dx;
	p->n = n;
	p->out = out;
	if (matrix(&xt, in, n, 1, in) || matrix(&dz, n, out, out, 1) || matrix(&dw, in, out, out, 1) ||
		matrix(&wt, out, in, 1, out) || matrix(&dx, n, in, in, 1) ||
		prepare(&p->dw, &xt, &dz, &dw, 0, NULL) || prepare(&p->dx, &dz, &wt, &dx, 0, NULL)) {
		ls_dnnl_free(p);
		return NULL;
	}
	return p;
}

static void set(dnnl_memory_t m, const void *data) { memory_set_data_handle(m, (void *)data); }

static void execute(product *p) {
	dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, p->a}, {DNNL_ARG_WEIGHTS, p->b}, {DNNL_ARG_DST, p->c}, {DNNL_ARG_BIAS, p->bias}};
	primitive_execute(p->primitive, stream, p->bias ? 4 : 3, args);
}

void ls_dnnl_run_forward(ls_plan *p, void *y, const void *x, const void *w, const void *b, long reps) {
	set(p->forward.a, x);
	if (!p->packed)
		set(p->forward.b, w);
	set(p->forward.bias, b);
	set(p->forward.c, y);
	for (; reps > 0; reps--)
		execute(&p->forward);
	stream_wait(stream);
}

void ls_dnnl_run_backward(ls_plan *p, void *dx, void *dw, void *db, void *dy, const void *y, const void *x, const void *w, long reps) {
	set(p->dw.a, x);
	set(p->dw.b, dy);
	set(p->dw.c, dw);
	set(p->dx.a, dy);
	set(p->dx.b, w);
	set(p->dx.c, dx);
	for (; reps > 0; reps--) {
		ls_mask_and_sum(0, p->n, p->out, db, dy, y);
		execute(&p->dw);
		execute(&p->dx);
	}
	stream_wait(stream);
}

void ls_dnnl_free(ls_plan *p) {
	done(&p->forward);
	done(&p->dw);
	done(&p->dx);
	free(p);
}

#else

const char *ls_dnnl_open(const char *file) { return "there was no dnnl.h of version 2 at build time"; }
ls_plan *ls_dnnl_forward(int n, int in, int out, const void *w, int packed) { return NULL; }
ls_plan *ls_dnnl_backward(int n, int in, int out) { return NULL; }
void ls_dnnl_run_forward(ls_plan *p, void *y, const void *x, const void *w, const void *b, long reps) {}
void ls_dnnl_run_backward(ls_plan *p, void *dx, void *dw, void *db, void *dy, const void *y, const void *x, const void *w, long reps) {}
void ls_dnnl_free(ls_plan *p) {}

#endif
