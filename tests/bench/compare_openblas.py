"""Matrix products against OpenBLAS, in turn, in one process.

    python3 tests/bench/compare_openblas.py BUILD_DIR [--threads N] [--rounds N] [--library OPENBLAS]

BUILD_DIR holds libfirn.a. OPENBLAS: a shared library with cblas_sgemm; default: the one that numpy brings along.
Prints OpenBLAS's time over firn's for each shape (above 1: firn is faster), medians of the rounds, and their summary.
"""
import argparse
import ctypes
import glob
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)
# OpenBLAS's threads spin for 2^26 cycles after a call, on the core that firn's second thread needs next. Here it is 2^20:
# longer than any pause between its own calls, and SETTLE seconds later they are asleep.
os.environ["OPENBLAS_THREAD_TIMEOUT"] = "20"
SETTLE = 0.002

HELPER = r"""
#include <stdlib.h>
#include <time.h>
#include "kernels.h"
typedef void sgemm64(int, int, int, int64_t, int64_t, int64_t, float, const float *, int64_t, const float *, int64_t, float,
                     float *, int64_t);
typedef void sgemm32(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int);
static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
static float *numbers(int64_t n)
{
    float *p = aligned_alloc(64, ((size_t)n * 4 + 127) / 64 * 64);
    for (int64_t i = 0; i < n; i++) p[i] = (float)(i * 7919 % 2001) / 1000.0f - 1.0f;
    return p;
}
static firn_ctx *ctx;
int start(int threads)
{
    const firn_ctx_options how = {.threads = threads};
    return firn_ctx_create(&ctx, &how);
}
/* form 0 NN, 1 NT, 2 TN, 3 NT with b packed before. Seconds a call, and firn's and OpenBLAS's results. */
double run(int form, int64_t m, int64_t n, int64_t k, void *sgemm, int wide, int calls, float *sum)
{
    static float *a, *b, *c, *packed;
    free(a), free(b), free(c), free(packed);
    a = numbers(m * k), b = numbers(n * k), c = numbers(m * n), packed = NULL;
    const int ta = form == 2, tb = form == 1 || form == 3;
    firn__gemm_args g = {.m = m, .n = n, .k = k, .a = a, .lda = ta ? m : k, .a_transposed = ta, .b = b, .ldb = tb ? k : n,
                         .b_transposed = tb, .c = c, .ldc = n};
    const firn__crew crew = {ctx, -1};
    if (form == 3 && sgemm == NULL) {
        packed = numbers((int64_t)(firn__gemm_packed_bytes(ctx, n, k) / 4));
        firn__gemm_pack_b(crew, n, k, b, k, true, packed);
        g.b_packed = packed;
    }
    double begin = 0;
    for (int i = -calls; i < calls; i++) { /* first until threads are awake, and each on its own core */
        if (i == 0) begin = now();
        if (sgemm == NULL) firn__gemm(crew, &g);
        else if (wide) ((sgemm64 *)sgemm)(101, ta ? 112 : 111, tb ? 112 : 111, m, n, k, 1, a, g.lda, b, g.ldb, 0, c, n);
        else ((sgemm32 *)sgemm)(101, ta ? 112 : 111, tb ? 112 : 111, (int)m, (int)n, (int)k, 1, a, (int)g.lda, b, (int)g.ldb, 0,
                                c, (int)n);
    }
    const double spent = (now() - begin) / calls;
    *sum = 0;
    for (int64_t i = 0; i < m * n; i++) *sum += c[i] * (float)(i % 13);
    return spent;
}
"""
FORMS = ("NN", "NT", "TN", "packed")


def build_helper(build_dir, folder):
    root = pathlib.Path(__file__).resolve().parents[2]
    source, library = folder / "helper.c", folder / "helper.so"
    source.write_text(HELPER)
    command = [os.environ.get("CC", "cc"), "-std=c11", "-O2", "-shared", "-fPIC", str(source), "-o", str(library)]
    command += [f"-I{root / path}" for path in ("include", "src/base", "src/kernels")]
    command += [str(pathlib.Path(build_dir) / "libfirn.a"), "-lm", "-pthread"]
    subprocess.run(command, check=True)
    helper = ctypes.CDLL(str(library))
    helper.run.restype = ctypes.c_double
    helper.run.argtypes = [ctypes.c_int] + 3 * [ctypes.c_int64] + [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    return helper


def open_openblas(path, threads):
    os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    if path is None:
        import numpy

        folder = pathlib.Path(numpy.__file__).parent.parent / "numpy.libs"
        path = glob.glob(str(folder / "*openblas*"))[0]
    library = ctypes.CDLL(path)
    for name, wide in (("scipy_cblas_sgemm64_", 1), ("cblas_sgemm64_", 1), ("scipy_cblas_sgemm", 0), ("cblas_sgemm", 0)):
        if hasattr(library, name):
            core = getattr(library, "scipy_openblas_get_corename64_", None) or getattr(library, "openblas_get_corename", None)
            if core is not None:
                core.restype = ctypes.c_char_p
            return ctypes.cast(getattr(library, name), ctypes.c_void_p).value, wide, core().decode() if core else "?"
    sys.exit(f"no cblas_sgemm in {path}")


def compare(helper, blas, rounds, form, m, n, k):
    function, wide, _ = blas
    calls = max(1, int(4e8 / (2 * m * n * k)))
    ratios, ours, sums = [], [], (ctypes.c_float * 2)()
    for _ in range(rounds):
        time.sleep(SETTLE)
        mine = helper.run(form, m, n, k, None, 0, calls, ctypes.addressof(sums))
        theirs = helper.run(form, m, n, k, function, wide, calls, ctypes.addressof(sums) + 4)
        ratios.append(theirs / mine)
        ours.append(2e-9 * m * n * k / mine)
    if not abs(sums[0] - sums[1]) <= 1e-3 * (abs(sums[0]) + math.sqrt(m * n * k)):
        sys.exit(f"results differ: {FORMS[form]} {m}x{n}x{k}: {sums[0]} {sums[1]}")
    ratio = statistics.median(ratios)
    print(f"{FORMS[form]:7s} {m:4d} x {n:4d} x {k:4d}  {statistics.median(ours):7.1f} GFLOP/s  {ratio:6.2f}", flush=True)
    return ratio


def summary(title, ratios):
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    ahead = sum(r > 1 for r in ratios)
    print(f"== {title}: geometric mean {mean:.3f}, ahead on {ahead} of {len(ratios)} shapes", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build_dir")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--library")
    options = parser.parse_args()
    blas = open_openblas(options.library, options.threads)
    print(f"OpenBLAS core {blas[2]}, {options.threads} threads")
    with tempfile.TemporaryDirectory() as folder:
        helper = build_helper(options.build_dir, pathlib.Path(folder))
        if helper.start(options.threads) != 0:
            sys.exit("no context")
        sizes = (64, 128, 256, 512, 1024)
        for form, name in enumerate(FORMS):
            shapes = [(m, n, k) for m in (32, 64, 128, 256) for n in sizes for k in sizes]
            summary(name, [compare(helper, blas, options.rounds, form, *shape) for shape in shapes])
        for outputs in (5, 10):
            few = [compare(helper, blas, options.rounds, form, m, outputs, k) for form in range(4) for m in (32, 64, 128, 256)
                   for k in (128, 512)]
            summary(f"{outputs} outputs", few)


main()
